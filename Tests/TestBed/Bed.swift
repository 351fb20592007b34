import Foundation
import Synchronization

/// The folder of one test bed, and the guarantee that nothing outlives it.
///
/// Everything started through it carries `PUMICE_BED` in its environment. A caretaker process holds one end of a pair of sockets: when
/// this process ends the bed, or dies in whatever way, the caretaker ends all of the bed's processes and removes the folder.
public final class Bed: Sendable {
  public let folder: TemporaryFolder
  private let caretaker: LocalProcess
  private let leash: Mutex<FileHandle?>
  private let count = Mutex(0)

  /// Where the scripts of the test bed lie.
  public static let scripts = (#filePath as NSString).deletingLastPathComponent + "/Scripts"

  public init() throws {
    folder = try TemporaryFolder()
    try folder.write("", to: ".pumice-bed")
    // Nobody else may get hold of it, or the caretaker would wait for them; another thread may start a process at any time.
    var ends: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
      throw TestBedFailure("No pair of sockets: \(String(cString: strerror(errno)))")
    }
    defer { close(ends[1]) }
    leash = Mutex(FileHandle(fileDescriptor: ends[0], closeOnDealloc: true))
    caretaker = try LocalProcess(
      ["\(Self.scripts)/end-bed.sh", "--when-input-ends", folder.path], input: ends[1], log: nil)
  }

  /// Starts a program as a part of this bed; its output is added to `NAME.log` in the folder.
  public func start(
    _ command: [String], name: String? = nil, environment: [String: String] = [:]
  ) throws -> LocalProcess {
    let name = name ?? (command[0] as NSString).lastPathComponent
    return try LocalProcess(
      command, environment: environment.merging(["PUMICE_BED": folder.path]) { _, own in own },
      log: folder.file("\(name).log"))
  }

  /// Runs a program to its end and returns its output. Throws when it fails or takes longer.
  @discardableResult
  public func run(
    _ command: [String], environment: [String: String] = [:], within deadline: Duration = .seconds(60)
  ) async throws -> String {
    let number = count.withLock { count in
      count += 1
      return count
    }
    let name = ".run-\(number)"
    let process = try start(command, name: name, environment: environment)
    let log = folder.file("\(name).log")
    defer { unlink(log) }
    do {
      let status = try await process.wait(within: deadline)
      let output = String(decoding: try Data(contentsOf: URL(fileURLWithPath: log)), as: UTF8.self)
      guard status == 0 else { throw TestBedFailure("exit status \(status): \(output)") }
      return output
    } catch {
      try await process.end(grace: .milliseconds(100))
      throw TestBedFailure("\(command.joined(separator: " ")): \(error)")
    }
  }

  /// Ends every process of this bed and removes its folder. Returns when that is done; harmless when repeated.
  public func end() async throws {
    guard let leash = leash.withLock({ $0.take() }) else { return }
    try leash.close()
    // A task of its own, since the one that calls may have been cancelled, and cleaning is not what was cancelled.
    let status = try await Task { [caretaker] in try await caretaker.wait(within: .seconds(30)) }.value
    guard status == 0, !FileManager.default.fileExists(atPath: folder.path)
    else { throw TestBedFailure("\(folder.path) or a process of it is left.") }
  }

  /// Lets everything run on and stay when this process ends; returns the command that ends it.
  public func keep() throws -> String {
    try leash.withLock({ $0.take() })?.write(contentsOf: Data("keep\n".utf8))
    return "\(Self.scripts)/end-bed.sh \(folder.path)"
  }

  /// Lends a bed, and ends it however the work ends.
  public static func with<Result>(_ work: (Bed) async throws -> Result) async throws -> Result {
    let bed = try Bed()
    let result: Result
    do { result = try await work(bed) } catch {
      try? await bed.end()
      throw error
    }
    try await bed.end()
    return result
  }
}
