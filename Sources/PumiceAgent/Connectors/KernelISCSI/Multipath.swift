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

  /// Whether reads and writes of the map wait while all paths are down, for as long as that lasts: Config/multipath.conf.
  func waits(_ map: DeviceMap) async -> Bool {
    let outcome = try? await commands.run("multipathd", ["show", "maps", "raw", "format", "%n %Q"])
    let lines = outcome?.standardOutput.split(separator: "\n").map { $0.split(separator: " ") } ?? []
    return lines.contains { $0.first == map.label[...] && $0.dropFirst() == ["on"] }
  }

  /// Takes one path out of its map.
  func letGo(_ disk: String) async { _ = try? await commands.run("multipathd", ["del", "path", disk]) }

  /// Has reads and writes of the map fail while all its paths are down, those under way too.
  func stopWaiting(_ map: DeviceMap) async {
    _ = try? await commands.run("multipathd", ["disablequeueing", "map", map.label])
    // Also when multipathd has given the map up already.
    _ = try? await commands.run("dmsetup", ["message", map.label, "0", "fail_if_no_path"])
  }

  /// When it returns, there is no such map. Throws `inUse` while somebody has it open; udev may for a moment.
  func remove(_ map: DeviceMap) async throws(StorageError) {
    let attempt = "Removing the multipath map \(map.label)"
    var failure = StorageError(.failed, attempt)
    for pause in [0, 100, 200, 400, 800, 1600, 3200] {
      do { try await Task.sleep(for: .milliseconds(pause)) } catch { throw StorageError.wrap(error, attempt) }
      let outcome = try await commands.run("multipath", ["-f", map.label])
      if outcome.succeeded { return }
      let words = (outcome.standardError + outcome.standardOutput).prefix(500)
      failure = StorageError(words.contains("in use") ? .inUse : .failed, "\(attempt) failed: \(words)")
      guard failure.code == .inUse else { break }
    }
    throw failure
  }

  /// Takes back what `claim` has said: else a disk with this WWID would be taken again, also one with a single path.
  func forget(_ map: DeviceMap) async {
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
