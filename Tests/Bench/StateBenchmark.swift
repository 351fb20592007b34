import Foundation
import PumiceAgent
import PumiceModel
import PumiceWire
import TestBed

/// What it takes to learn of the state of a volume group with a thousand logical volumes, beside LVM's own report.
enum StateBenchmark {
  static func run(disk: String) async throws {
    try await NodeBenchmark.command("pvcreate", "-qq", "-y", "--metadatasize", "64m", disk)
    try await NodeBenchmark.command("vgcreate", "-qq", "state", disk)
    let configuration = LVMBackendConfiguration(name: "lvm", volumeGroup: "state")
    let first = try await LVMBackend.open(configuration, logger: NodeBenchmark.silent)
    let request = VolumeRequest(
      revision: 1, backend: "lvm", pool: "lvm", size: .gibibytes(1),
      description: VolumeDescription(name: "database", project: "project", type: "fast", metadata: ["a": "1"]))
    guard case .done = try await first.ensure(.random(), request) else {
      throw TestBedFailure("A thin volume is not there at once.")
    }
    try await multiply(by: 1000)

    let backend = try await LVMBackend.open(configuration, logger: NodeBenchmark.silent)
    guard try await backend.volumes().count == 1000 else { throw TestBedFailure("There are no 1,000 volumes.") }
    let clock = ContinuousClock()
    var (read, reported): ([Duration], [Duration]) = ([], [])
    for _ in 0..<7 {
      // What was read is used for two seconds.
      try await Task.sleep(for: .milliseconds(2200))
      var start = clock.now
      let pools = await backend.pools()
      read.append(clock.now - start)
      guard pools.allSatisfy({ $0.downReason == nil }) else { throw TestBedFailure("The pool is down: \(pools)") }
      start = clock.now
      try await NodeBenchmark.command("lvm", "fullreport", "--reportformat", "json", "state")
      reported.append(clock.now - start)
    }
    NodeBenchmark.say("read", read.percentile(0.5))
    NodeBenchmark.say("fullreport", reported.percentile(0.5))
  }

  /// Makes more of the one volume in the group, in its metadata alone, which takes no minutes.
  private static func multiply(by count: Int) async throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let file = folder.file("metadata")
    try await NodeBenchmark.command("vgcfgbackup", "-f", file, "state")
    let metadata = try String(contentsOfFile: file, encoding: .utf8)
    guard let start = metadata.range(of: "\n\t\tvolume-"),
      let end = metadata.range(of: "\n\t\t}\n", range: start.lowerBound..<metadata.endIndex)
    else { throw TestBedFailure("The metadata has no volume: \(metadata)") }
    let entry = String(metadata[start.lowerBound..<end.upperBound].dropLast())
    var more = ""
    for number in 1..<count {
      more +=
        entry
        .replacing(/volume-[0-9a-f]{8}/, with: "volume-\(String(format: "%08x", number))")
        .replacing(/id = "\w{6}-/, with: "id = \"\(String(format: "%06d", number))-", maxReplacements: 1)
        .replacing(/\tdevice_id = \d+/, with: "\tdevice_id = \(number + 1)")
    }
    let changed = metadata.replacingCharacters(in: end.upperBound..<end.upperBound, with: more.dropFirst() + "\n")
    try changed.write(toFile: file, atomically: true, encoding: .utf8)
    try await NodeBenchmark.command("vgcfgrestore", "-y", "--force", "-f", file, "state")
  }
}
