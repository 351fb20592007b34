import Foundation

/// Where the product's programs are: `$PUMICE_BIN`, or beside the running test, demo or benchmark.
public enum Binaries {
  public static func path(_ name: String) throws -> String {
    let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") as NSString
    let folder = ProcessInfo.processInfo.environment["PUMICE_BIN"] ?? own.deletingLastPathComponent
    let path = "\(folder)/\(name)"
    guard FileManager.default.isExecutableFile(atPath: path) else {
      throw TestBedFailure("\(path) is missing. Build it, or say in PUMICE_BIN where it is.")
    }
    return path
  }
}
