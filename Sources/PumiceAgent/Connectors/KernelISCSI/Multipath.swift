import PumiceModel

/// multipathd(8), which joins the disks of several sessions into one map. It may be missing.
struct Multipath: Sendable {
  private let commands = CommandRunner(deadline: .seconds(30))

  func isRunning() async -> Bool {
    let outcome = try? await commands.run("multipathd", ["show", "daemon"])
    return outcome?.succeeded == true && outcome?.standardOutput.hasPrefix("pid") == true
  }

  /// Asks for a map over these disks, whatever `find_multipaths` says. Whether there is one, sysfs shows.
  func claim(_ disks: [String]) async {
    _ = try? await commands.run("multipath", ["-a", "/dev/\(disks[0])"])
    for disk in disks { _ = try? await commands.run("multipathd", ["add", "path", disk]) }
  }

  /// Takes one path out of its map.
  func letGo(_ disk: String) async { _ = try? await commands.run("multipathd", ["del", "path", disk]) }

  /// When it returns, there is no such map. Throws `inUse` while somebody has it open.
  func remove(_ map: DeviceMap) async throws(StorageError) {
    let attempt = "Removing the multipath map \(map.label)"
    let outcome = try await commands.run("multipath", ["-f", map.label])
    guard outcome.succeeded else {
      let words = (outcome.standardError + outcome.standardOutput).prefix(500)
      throw StorageError(words.contains("in use") ? .inUse : .failed, "\(attempt) failed: \(words)")
    }
    // Else a disk with this WWID would be taken again, also one with a single path.
    _ = try? await commands.run("multipath", ["-w", String(map.uuid.dropFirst("mpath-".count))])
  }

  /// Shows the map's users the size that its paths have now.
  func resize(_ map: DeviceMap) async throws(StorageError) {
    let outcome = try await commands.run("multipathd", ["resize", "map", map.label])
    guard outcome.succeeded, !outcome.standardOutput.hasPrefix("fail") else {
      throw StorageError(
        .failed, "Resizing the multipath map \(map.label) failed: \(outcome.standardOutput.prefix(500))")
    }
  }
}
