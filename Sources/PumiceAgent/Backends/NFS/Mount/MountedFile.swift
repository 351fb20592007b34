import Glibc
import PumiceModel
import Synchronization

/// An open file of a mounted share. It holds the mount.
final class MountedFile: ShareFile {
  private struct State {
    var isOpen = true
    var underway = 0
    /// Whoever closes it, and waits for the rest.
    var closer: CheckedContinuation<Void, Never>?
  }

  private let path: String
  private let descriptor: Int32
  private let mount: MountedShare
  private let state = Mutex(State())

  /// Takes the descriptor over.
  init(_ descriptor: Int32, path: String, _ mount: MountedShare) {
    self.descriptor = descriptor
    self.path = path
    self.mount = mount
  }

  deinit {
    // Nobody may wait here: what is unwritten goes to the server now.
    if state.withLock(\.isOpen) { mount.calls.leave(descriptor) }
  }

  func read(_ count: Int, at offset: Int64) async throws(StorageError) -> [UInt8] {
    try await call("Reading") { file throws(StorageError) in
      var bytes = [UInt8](repeating: 0, count: count)
      let read = bytes.withUnsafeMutableBytes { bytes in
        repeatedly(count) { pread(file, bytes.baseAddress! + $0, count - $0, off_t(offset) + off_t($0)) }
      }
      guard let read else { return nil }
      return Array(bytes[..<read])
    }
  }

  func write(_ bytes: [UInt8], at offset: Int64) async throws(StorageError) {
    try await call("Writing") { file throws(StorageError) in
      let written = bytes.withUnsafeBytes { source in
        repeatedly(bytes.count) {
          pwrite(file, source.baseAddress! + $0, bytes.count - $0, off_t(offset) + off_t($0))
        }
      }
      return written == bytes.count ? () : nil
    }
  }

  func sync() async throws(StorageError) {
    try await call("Writing to disk") { file throws(StorageError) in fsync(file) == 0 ? () : nil }
  }

  func close() async throws(StorageError) {
    await withCheckedContinuation { continuation in
      let isAlone = state.withLock { state in
        guard state.isOpen, state.underway > 0 else { return true }
        state.closer = continuation
        return false
      }
      if isAlone { continuation.resume() }
    }
    let wasOpen = state.withLock { state in
      defer { state.isOpen = false }
      return state.isOpen
    }
    guard wasOpen else { return }
    let (descriptor, path, mount) = (descriptor, path, mount)
    do throws(StorageError) {
      try await mount.calls.run(within: mount.timing.call, "Closing \(path)") { () throws(StorageError) in
        guard Glibc.close(descriptor) == 0 || errno == EINTR else { throw VolumeFolder.error("Closing \(path)") }
      }
    } catch {
      // Refused before it began.
      if error.code == .unavailable { mount.calls.leave(descriptor) }
      throw error
    }
  }

  /// - Parameter body: `nil`, with `errno`, when it fails.
  private func call<Value: Sendable>(
    _ attempt: String, _ body: @escaping @Sendable (Int32) throws(StorageError) -> Value?
  ) async throws(StorageError) -> Value {
    let isOpen = state.withLock { state in
      if state.isOpen { state.underway += 1 }
      return state.isOpen
    }
    guard isOpen else { throw StorageError(.failed, "\(attempt) \(path) failed: it is closed.") }
    defer {
      let closer: CheckedContinuation<Void, Never>? = state.withLock { state in
        state.underway -= 1
        guard state.underway == 0 else { return nil }
        defer { state.closer = nil }
        return state.closer
      }
      closer?.resume()
    }
    // The closure holds this object, and so the descriptor, for as long as the kernel holds the call.
    return try await mount.calls.run(within: mount.timing.call, "\(attempt) \(path)") { () throws(StorageError) in
      guard let value = try body(self.descriptor) else { throw VolumeFolder.error("\(attempt) \(self.path)") }
      return value
    }
  }
}

/// Repeats a call that may do less than it is asked for, until it does nothing more; `nil`, with `errno`, when it fails.
private func repeatedly(_ count: Int, _ call: (_ done: Int) -> Int) -> Int? {
  var done = 0
  while done < count {
    let part = call(done)
    if part < 0, errno == EINTR { continue }
    guard part >= 0 else { return nil }
    if part == 0 { break }
    done += part
  }
  return done
}
