import Foundation

/// What libvirt found out about QEMU, kept from run to run: asking takes it eight seconds. libvirt itself checks whether it
/// still holds.
struct CapabilityCache {
  let folder: String

  /// `$PUMICE_CACHE`, or a folder under the user's cache.
  static var root: String {
    let environment = ProcessInfo.processInfo.environment
    if let path = environment["PUMICE_CACHE"], !path.isEmpty { return path }
    if let path = environment["XDG_CACHE_HOME"], !path.isEmpty { return "\(path)/pumice" }
    return "\(environment["HOME"] ?? "/root")/.cache/pumice"
  }

  private var kept: String { "\(Self.root)/libvirt-capabilities" }

  func fetch() throws {
    for name in names(in: kept) where !FileManager.default.fileExists(atPath: "\(folder)/\(name)") {
      try FileManager.default.copyItem(atPath: "\(kept)/\(name)", toPath: "\(folder)/\(name)")
    }
  }

  /// Several may do so at once: each file comes into being whole.
  func keep() throws {
    try FileManager.default.createDirectory(atPath: kept, withIntermediateDirectories: true)
    for name in names(in: folder) {
      let fresh = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)"))
      let known = URL(fileURLWithPath: "\(kept)/\(name)")
      if (try? Data(contentsOf: known)) != fresh { try fresh.write(to: known, options: .atomic) }
    }
  }

  private func names(in folder: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter { $0.hasSuffix(".xml") }
  }
}
