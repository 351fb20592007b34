import Glibc
import PumiceModel

/// The kernel's objects as files (sysfs(5)), below a root that a test can put elsewhere. Every call may block.
struct Sysfs: Sendable {
  let root: String

  init(_ root: String = "/sys") { self.root = root }

  /// An attribute without white space around it; `nil` where there is none, or where its object is about to go.
  func text(_ path: String) -> String? {
    guard let text = try? String(contentsOfFile: "\(root)/\(path)") else { return nil }
    let isBlank: (Character) -> Bool = { $0.isWhitespace || $0 == "\0" }
    return String(text.drop(while: isBlank).reversed().drop(while: isBlank).reversed())
  }

  func number(_ path: String) -> Int64? { text(path).flatMap { Int64($0) } }

  func bytes(_ path: String) -> [UInt8]? {
    let file = open("\(root)/\(path)", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    // Attributes are one page at most.
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = read(file, &buffer, buffer.count)
    return count < 0 ? nil : Array(buffer[..<count])
  }

  /// What a folder has, in the order of the names; nothing where there is no such folder.
  func names(in path: String) -> [String] { folderNames("\(root)/\(path)") }

  func exists(_ path: String) -> Bool { access("\(root)/\(path)", F_OK) == 0 }

  /// Where a link leads, as an absolute path.
  func destination(of path: String) -> String? {
    guard let real = realpath("\(root)/\(path)", nil) else { return nil }
    defer { free(real) }
    return String(cString: real)
  }

  /// Tells the kernel something. Throws `notFound` when the object is gone.
  func write(_ text: String, to path: String, _ attempt: String) throws(StorageError) {
    let file = open("\(root)/\(path)", O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { throw Self.error(attempt) }
    defer { close(file) }
    let bytes = Array(text.utf8)
    guard Glibc.write(file, bytes, bytes.count) == bytes.count else { throw Self.error(attempt) }
  }

  /// See open(2), write(2).
  private static func error(_ attempt: String) -> StorageError {
    let number = errno
    let code: StorageError.Code =
      switch number {
      case ENOENT, ENODEV, ENXIO: .notFound
      case EACCES, EPERM, EROFS: .forbidden
      default: .failed
      }
    return StorageError(code, "\(attempt) failed: \(String(cString: strerror(number))).")
  }
}

/// The names in a folder, sorted; none where there is no such folder. See readdir(3).
func folderNames(_ path: String) -> [String] {
  guard let stream = opendir(path) else { return [] }
  defer { closedir(stream) }
  var names: [String] = []
  while let entry = readdir(stream) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    if name != ".", name != ".." { names.append(name) }
  }
  return names.sorted()
}
