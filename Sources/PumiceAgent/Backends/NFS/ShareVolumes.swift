import Foundation
import PumiceModel
import PumiceWire

/// The volumes of a share, over its open folder: the order of steps that makes, changes, finds and erases them, so that a crash
/// between any two is harmless.
///
/// A file is named in the volume's description before it is made and erased before it is forgotten, and no name comes twice: a
/// request that a server carries out late, after its connection has ended, finds nothing that it could harm.
struct ShareVolumes: Sendable {
  let folder: any ShareFolder
  let memory: ShareMemory
  let settings: Settings

  struct Settings: Sendable {
    var format = SharedImage.Format.raw
    var thick = false
    /// How much of long work one call does.
    var slice = Duration.seconds(3)
    /// How much of a copy is looked at in one go.
    var window: Int64 = 64 << 20
    /// How long the node's report waits for the share, and its inventory for what is on it.
    var patience = Duration.seconds(10)
    var listing = Duration.seconds(20)
    /// Well below what is read of one.
    var longestDescription = ByteCount.mebibytes(16)
    var now: @Sendable () -> Timestamp = {
      Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000))
    }
  }

  // MARK: Descriptions

  /// The volume's description, also of one that is half-made or being erased; `nil` when there is none.
  ///
  /// Throws `failed` for one that can't be read: its files are kept, and nothing is done with them.
  func load(_ id: VolumeID) async throws(StorageError) -> NFSVolume? {
    for name in memory.attempts(of: id) {
      try await folder.remove(name)
      memory.forget(name, of: id)
    }
    let name = FileNames(id).sidecar
    guard let bytes = try await folder.read(name) else { return nil }
    guard let volume = NFSVolume(bytes, of: id) else {
      throw StorageError(
        .failed,
        "\(folder.path(of: name)) does not describe volume \(id) in a way that can be followed. Its files are left alone."
      )
    }
    return volume
  }

  /// The volume, if it is there as a whole.
  func volume(_ id: VolumeID) async throws(StorageError) -> NFSVolume? {
    try await load(id).flatMap { $0.isWhole ? $0 : nil }
  }

  /// Puts a description in place as a whole, durably.
  func place(_ volume: NFSVolume) async throws(StorageError) {
    let sidecar = FileNames(volume.id).sidecar
    let name = Self.temporaryNames(of: volume.id)[memory.slot(of: volume.id) % Self.slots]
    do throws(StorageError) {
      try await folder.write(try WireJSON.text(volume), to: name)
      try await folder.rename(name, to: sidecar)
      try await folder.sync()
    } catch {
      memory.note(name, of: volume.id)
      memory.skipSlot(of: volume.id)
      throw error
    }
  }

  /// Throws `unsupported` for a description that should not become larger. What ends a step, or takes snapshots away, is never
  /// refused: there is room for that.
  func requireShort(_ volume: NFSVolume) throws(StorageError) {
    let (size, limit) = (ByteCount(Int64(try WireJSON.text(volume).count)), settings.longestDescription)
    guard size <= limit else {
      throw StorageError(
        .unsupported,
        "\(folder.path(of: FileNames(volume.id).sidecar)) would have \(size), and \(limit) is all that it may have. Remove "
          + "snapshots of volume \(volume.id), or metadata.")
    }
  }

  /// The names that a description may have before it is put in place: several, so that a request which the server carries out
  /// late finds no file under the name that it is about, or a whole one.
  static func temporaryNames(of id: VolumeID) -> [String] {
    (0..<slots).map { ".\(FileNames(id).sidecar).\($0).new" }
  }

  private static let slots = 4

  /// Every description that can be read, by id; those that have not changed since the last time are not read again.
  func all() async throws(StorageError) -> [NFSVolume] {
    let files = try await folder.files()
    let wanted = files.compactMap { name, status -> (VolumeID, ShareFolder.FileStatus)? in
      guard case (let names, .sidecar)? = FileNames.role(of: name), case .volume(let id) = names.owner else {
        return nil
      }
      return (id, status)
    }
    memory.keep(Set(wanted.map { $0.0 }))
    let unknown = wanted.filter { memory.description(of: $0.0, as: $0.1) == nil }
    let failure = await withTaskGroup(of: StorageError?.self) { group in
      var rest = unknown.makeIterator()
      func begin() {
        guard let (id, status) = rest.next() else { return }
        group.addTask {
          do throws(StorageError) {
            if let bytes = try await folder.read(FileNames(id).sidecar), let volume = NFSVolume(bytes, of: id) {
              memory.remember(volume, as: status)
            }
            return nil
          } catch {
            return error
          }
        }
      }
      for _ in 0..<32 { begin() }
      var failure: StorageError?
      while let outcome = await group.next() {
        failure = failure ?? outcome
        begin()
      }
      return failure
    }
    if let failure { throw failure }
    return wanted.compactMap { memory.description(of: $0.0, as: $0.1) }.sorted { $0.id < $1.id }
  }

  /// Erases what crashes have left: descriptions on their way, volumes that were never made, and steps that nobody has begun to
  /// follow. Nothing else may be under way. What can't be erased is left. Returns the names of what it was about.
  func sweep() async throws(StorageError) -> [String] {
    var swept: [String] = []
    for name in try await folder.files().keys.sorted() where Self.isTemporary(name) {
      try await tolerantly { () async throws(StorageError) in
        try await folder.remove(name)
        swept.append(name)
      }
    }
    for volume in try await all() where volume.isMaking == true || volume.step != nil && volume.isStepOffered != true {
      try await tolerantly { () async throws(StorageError) in
        if volume.isMaking == true {
          try await erase(volume)
        } else {
          var volume = volume
          try await abandonStep(of: &volume)
          try await place(try await eraseUnneeded(volume))
        }
        swept.append(FileNames(volume.id).sidecar)
      }
    }
    return swept
  }

  /// One volume that can't be helped shall not hold up all others; a server that is away does.
  private func tolerantly(_ body: () async throws(StorageError) -> Void) async throws(StorageError) {
    do throws(StorageError) {
      try await body()
    } catch {
      if [.unavailable, .timeout].contains(error.code) { throw error }
    }
  }

  // MARK: Files

  /// A name that no file has had.
  func newLayerName(of id: VolumeID) -> String { "\(FileNames(id).data).\(Self.suffix())" }

  private static func suffix() -> String { String(UInt64.random(in: 1 << 40..<1 << 48), radix: 36) }

  /// `.volume-ID.json.SUFFIX.new`
  private static func isTemporary(_ name: String) -> Bool {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 5, parts[0].isEmpty, parts[2] == "json", parts[4] == "new" else { return false }
    guard case (let names, .sidecar)? = FileNames.role(of: "\(parts[1]).json") else { return false }
    if case .volume = names.owner { return true }
    return false
  }

  /// Makes the file of a layer that its description names: all zeros, or all of what is behind it.
  func make(_ layer: NFSVolume.Layer, _ volume: NFSVolume, size: ByteCount, thick: Bool) async throws(StorageError) {
    switch layer.format {
    case .raw: try await folder.create(layer.name, size: size, thick: thick)
    case .qcow2:
      guard size <= QCOW2Header.maximumSize else {
        throw StorageError(
          .noSpace, "\(folder.path(of: layer.name)) can't be made: qcow2 images have up to \(QCOW2Header.maximumSize).")
      }
      let backing = layer.parent.flatMap { volume.layer($0) }?.backing
      let file = QCOW2Header(size: size, backing: backing).emptyFile
      try await folder.write(file.bytes, to: layer.name)
      try await folder.grow(layer.name, to: file.size, thick: false)
    }
  }

  /// Erases layers that nobody needs. Returns the description as it is to be placed then.
  func eraseUnneeded(_ volume: NFSVolume) async throws(StorageError) -> NFSVolume {
    var volume = volume
    while true {
      let layers = volume.unneeded
      if layers.isEmpty { return volume }
      for layer in layers {
        try await folder.remove(layer.name)
        volume.forget(layer.name)
      }
      try await folder.sync()
    }
  }
}
