import Foundation

/// A folder of one's own under `$TMPDIR` or `/tmp`, mode 0700. Short, since Unix sockets in it have 108 bytes for their path.
public struct TemporaryFolder: Sendable {
  public let path: String

  public init() throws {
    let parent = ProcessInfo.processInfo.environment["TMPDIR"].flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"
    var template = Array("\(parent)/pumice-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw TestBedFailure("No temporary folder in \(parent): \(String(cString: strerror(errno)))")
    }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// The path of an entry, which need not exist.
  public func file(_ name: String) -> String { "\(path)/\(name)" }

  /// Makes a folder in it, with those between, and returns its path.
  @discardableResult
  public func folder(_ name: String) throws -> String {
    try FileManager.default.createDirectory(
      atPath: file(name), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    return file(name)
  }

  /// Writes a file as a whole and returns its path.
  @discardableResult
  public func write(_ text: String, to name: String, mode: Int = 0o600) throws -> String {
    let path = file(name)
    guard
      FileManager.default.createFile(
        atPath: path, contents: Data(text.utf8), attributes: [.posixPermissions: mode])
    else { throw TestBedFailure("\(path) can't be written.") }
    return path
  }

  /// Harmless when it is gone.
  public func remove() {
    try? FileManager.default.removeItem(atPath: path)
  }
}
