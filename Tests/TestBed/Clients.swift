import Foundation

/// OpenStack's own clients, as `Tests/OpenStack/Scripts/make-clients.sh` installs them.
public enum Clients {
  /// The folder that they are in.
  public static func folder(in bed: Bed) async throws -> String {
    let output = try await bed.run(["\(scripts)/make-clients.sh"], within: .seconds(300))
    guard let folder = output.split(separator: "\n").last else {
      throw TestBedFailure("make-clients.sh named no folder.")
    }
    return String(folder)
  }

  /// `gopher_walk.go`, built with Debian's Go and its gophercloud.
  public static func gopher(in bed: Bed) async throws -> String {
    let output = try await bed.run(["\(scripts)/make-gopher.sh"], within: .seconds(300))
    guard let program = output.split(separator: "\n").last else {
      throw TestBedFailure("make-gopher.sh named no program.")
    }
    return String(program)
  }

  public static var scripts: String {
    URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../OpenStack/Scripts").standardized.path
  }
}
