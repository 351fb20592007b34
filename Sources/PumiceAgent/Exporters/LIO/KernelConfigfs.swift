import Glibc
package import PumiceModel

/// The real configfs. Every call blocks.
package struct KernelConfigfs: Configfs {
  /// Where configfs is mounted, with `target` below it.
  package static let mountPoint = "/sys/kernel/config"

  private let root: String

  package init(root: String = "\(mountPoint)/target") { self.root = root }

  package func list(_ folder: String) throws(StorageError) -> ConfigfsListing? {
    guard let stream = opendir(path(folder)) else { return try absent("Listing \(path(folder))") }
    defer { closedir(stream) }
    var listing = ConfigfsListing()
    errno = 0
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      switch Int(entry.pointee.d_type) {
      case Int(DT_DIR) where name != "." && name != "..": listing.folders.append(name)
      case Int(DT_LNK): listing.links[name] = destination(of: "\(folder)/\(name)")
      default: break
      }
      errno = 0
    }
    // The folder may have gone meanwhile.
    guard errno == 0 || errno == ENOENT else { throw LIOError.reading("Listing \(path(folder))", errno) }
    return listing
  }

  package func value(_ file: String) throws(StorageError) -> String? {
    let descriptor = open(path(file), O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return try absent("Opening \(path(file))") }
    defer { close(descriptor) }
    // A value is never longer than a page, and comes with the first read(2).
    var buffer = [UInt8](repeating: 0, count: 4096)
    var length = read(descriptor, &buffer, buffer.count)
    while length < 0, errno == EINTR { length = read(descriptor, &buffer, buffer.count) }
    guard length >= 0 else { return try absent("Reading \(path(file))") }
    if length > 0, buffer[length - 1] == UInt8(ascii: "\n") { length -= 1 }
    return String(decoding: buffer[..<length], as: UTF8.self)
  }

  package func perform(_ operation: ConfigfsOperation) throws(StorageError) {
    let path = path(operation.path)
    let succeeded =
      switch operation {
      case .make(_, let isShared): mkdir(path, 0o755) == 0 || isShared && errno == EEXIST
      case .remove: rmdir(path) == 0 || errno == ENOENT
      case .write(let value, _, let isOptional): write(value, path) || isOptional && LIOError.isUnknownValue(errno)
      case .link(_, let destination): symlink(self.path(destination), path) == 0
      case .unlink: unlink(path) == 0 || errno == ENOENT
      }
    guard succeeded else { throw LIOError.changing(operation, errno) }
  }

  /// LIO takes what one write(2) brings as the whole value.
  private func write(_ value: String, _ path: String) -> Bool {
    let descriptor = open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return false }
    defer {
      let number = errno
      close(descriptor)
      errno = number
    }
    var value = value
    return value.withUTF8 { bytes in
      while true {
        let count = Glibc.write(descriptor, bytes.baseAddress, bytes.count)
        if count < 0, errno == EINTR { continue }
        if count >= 0, count < bytes.count { errno = EMSGSIZE }
        return count == bytes.count
      }
    }
  }

  /// The kernel gives `../../../../target/core/…`.
  private func destination(of link: String) -> String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path(link), &buffer, buffer.count)
    guard count > 0 else { return "" }
    let parts = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self).split(separator: "/")
    return parts.drop { $0 == ".." }.dropFirst().joined(separator: "/")
  }

  private func path(_ relative: String) -> String { "\(root)/\(relative)" }

  /// `nil` for what is not there, or has gone since; throws for anything else.
  private func absent<Value>(_ attempt: String) throws(StorageError) -> Value? {
    guard errno == ENOENT || errno == ENODEV else { throw LIOError.reading(attempt, errno) }
    return nil
  }
}
