import Glibc
import PumiceModel

/// Names that always mean the same disk, whatever the kernel calls it after the next login: symbolic links in a folder of
/// their own, each named after an attachment or a volume. Every call blocks for a moment.
///
/// The folder lies on a tmpfs: after a reboot no link leads to a device that bears the name by chance.
struct DeviceLinks<Kind>: Sendable {
  typealias ID = Identifier<Kind>

  let folder: String

  func path(of id: ID) -> String { "\(folder)/\(id)" }

  /// Makes the folder, with those above it. Throws `forbidden` when others may write there.
  func prepare() throws(StorageError) {
    var prefix = ""
    for part in folder.split(separator: "/") {
      prefix += "/\(part)"
      guard mkdir(prefix, 0o755) == 0 || errno == EEXIST else { throw Self.error("Making the folder \(prefix)") }
    }
    var status = stat()
    guard lstat(folder, &status) == 0 else { throw Self.error("Reading the permissions of \(folder)") }
    guard status.st_mode & S_IFMT == S_IFDIR, status.st_mode & 0o022 == 0, status.st_uid == geteuid() else {
      throw StorageError(
        .forbidden, "\(folder) must be a folder that only this user can write to. Close it with: chmod 0755 \(folder)")
    }
    // The agent's umask would keep QEMU's user out.
    guard chmod(folder, 0o755) == 0 else { throw Self.error("Opening \(folder) for reading") }
  }

  /// When it returns, the name leads to the device. At no moment it leads nowhere.
  func point(_ id: ID, to device: String) throws(StorageError) {
    if destination(of: id) == device { return }
    try prepare()
    let attempt = "Linking \(path(of: id)) to \(device)"
    let temporary = "\(folder)/.\(id)"
    unlink(temporary)
    guard symlink(device, temporary) == 0, rename(temporary, path(of: id)) == 0 else {
      throw Self.error(attempt)
    }
  }

  /// Content when there was none.
  func remove(_ id: ID) throws(StorageError) {
    guard unlink(path(of: id)) == 0 || errno == ENOENT || errno == ENOTDIR else {
      throw Self.error("Removing \(path(of: id))")
    }
  }

  func destination(of id: ID) -> String? {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlink(path(of: id), &buffer, buffer.count)
    return count > 0 ? String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
  }

  /// Every link, with where it leads.
  func all() -> [ID: String] {
    var links: [ID: String] = [:]
    for name in folderNames(folder) {
      guard let id = ID(name), id.description == name else { continue }
      links[id] = destination(of: id)
    }
    return links
  }

  /// See symlink(2), rename(2), mkdir(2).
  private static func error(_ attempt: String) -> StorageError {
    let number = errno
    return StorageError(
      number == EACCES || number == EPERM || number == EROFS || number == ENOTDIR ? .forbidden : .failed,
      "\(attempt) failed: \(String(cString: strerror(number))).")
  }
}
