import Foundation
import LabBed
import PumiceModel
import TestBed

/// Logical volumes and LIO in nodes of the lab: what the product adds to what LVM and the kernel take anyway.
enum LabBenchmark {
  /// Creating and attaching, from the request to the answer.
  static func fleet(_ report: inout Report) async throws {
    let (creations, attaches) = try await Bed.with { bed in
      let fleet = try await LabFleet(storage: .largeThinLVMOverLIO, in: bed, reportInterval: 10)
      try await fleet.startWithoutGuest()
      try await fleet.api.liftQuota()
      let guests = try await fleet.defineGuests(32)
      return try await fleet.telling {
        let creations = try await Self.creations(10, in: fleet)
        return (creations, try await Self.attaches(creations.volumes, guests, in: fleet))
      }
    }
    let creating = creations.product.percentile(0.5) / creations.bare.percentile(0.5)
    report.add(
      "thin volume through the API / lvcreate",
      "\(ms(creations.product.percentile(0.5))) / \(ms(creations.bare.percentile(0.5))) = \(format(creating, 2))",
      promise: "<= 1.3", holds: creating <= 1.3)
    let attaching = attaches.many / attaches.one.percentile(0.5)
    report.add(
      "32 attaches at once / one attach",
      "\(ms(attaches.many)) / \(ms(attaches.one.percentile(0.5))) = \(format(attaching))", promise: "<= 6",
      holds: attaching <= 6)
  }

  /// What the exporter and the backend do, measured by this program in a node.
  static func drivers(_ report: inout Report) async throws {
    let (exports, state) = try await Lab.with { lab in
      let node = try lab.node("figures", number: 12, disks: [4096], memory: 768)
      try await node.start()
      return (
        try await Figures(of: ["exports"], on: node), try await Figures(of: ["state", "/dev/ubdb"], on: node)
      )
    }
    let (own, bare) = (try exports["ensured"] / 500, try exports["bare"] / 500)
    report.add(
      "export on LIO, beside its system calls", "\(ms(own)) - \(ms(bare)) = \(ms(own - bare))", promise: "<= 20 ms",
      holds: own - bare <= 20)
    let targetcli = try exports["targetcli"] / own
    report.add(
      "targetcli / export on LIO", "\(ms(try exports["targetcli"])) / \(ms(own)) = \(format(targetcli, 0))",
      promise: ">= 20", holds: targetcli >= 20)
    report.add(
      "500 exports anew / their system calls",
      "\(ms(own * 500)) / \(ms(bare * 500)) = \(format(own / bare, 2))", promise: "<= 1.5", holds: own / bare <= 1.5)
    let reading = try state["read"] / state["fullreport"]
    report.add(
      "state of 1,000 logical volumes / lvm fullreport",
      "\(ms(try state["read"])) / \(ms(try state["fullreport"])) = \(format(reading, 2))", promise: "<= 1.2",
      holds: reading <= 1.2)
  }

  // MARK: Through the API

  private static func creations(
    _ count: Int, in fleet: LabFleet
  ) async throws -> (product: [Double], bare: [Double], volumes: [VolumeID]) {
    let (api, clock) = (fleet.api, ContinuousClock())
    var (product, bare): ([Double], [Double]) = ([], [])
    var volumes: [VolumeID] = []
    // A group of its own: a change of the product's, by somebody else, would have it read that anew.
    try await fleet.storage.node.run(
      """
      vgcreate -qq bare /dev/ubdc
      lvcreate -qq -y --type thin-pool -L 60g --poolmetadatasize 64m -Zy -n bare-pool bare
      """)
    // In turns, so that what else the machine does weighs on both; the first of each is not counted.
    for round in 0...count {
      let start = clock.now
      let id = try await api.createVolume(name: "bench\(round)", gibibytes: 1)
      try await api.waitForVolume(id, status: "available", every: .milliseconds(5))
      let time = (clock.now - start).milliseconds
      let lvcreate = try await Figures(of: ["lvcreate", "bare", "bare\(round)"], on: fleet.storage.node)["lvcreate"]
      guard round > 0 else { continue }
      product.append(time)
      bare.append(lvcreate)
      volumes.append(id)
    }
    return (product, bare, volumes)
  }

  private static func attaches(
    _ some: [VolumeID], _ guests: [Guest], in fleet: LabFleet
  ) async throws -> (one: [Double], many: Double) {
    let (api, clock) = (fleet.api, ContinuousClock())
    var one: [Double] = []
    for volume in some.prefix(6) {
      let start = clock.now
      try await api.attach(volume, to: guests[0].id)
      try await api.waitForVolume(volume, status: "in-use", every: .milliseconds(5))
      one.append((clock.now - start).milliseconds)
      try await api.detach(volume, from: guests[0].id)
      try await api.waitForVolume(volume, status: "available")
    }
    var volumes = some
    while volumes.count < guests.count {
      volumes.append(try await api.createVolume(name: "bench", gibibytes: 1))
    }
    for volume in volumes { try await api.waitForVolume(volume, status: "available") }
    let start = clock.now
    try await withThrowingTaskGroup { group in
      for (volume, guest) in zip(volumes, guests) { group.addTask { try await api.attach(volume, to: guest.id) } }
      try await group.waitForAll()
    }
    // One look for all: what is measured has to share the processors with who looks.
    try await eventually("all are attached", within: .seconds(120), every: .milliseconds(20)) {
      let seen = try await api.get("/v3/\(api.project)/volumes/detail?status=in-use")["volumes"].array
      return seen.count == volumes.count
    }
    return (Array(one.dropFirst()), (clock.now - start).milliseconds)
  }
}

private func ms(_ value: Double) -> String { "\(format(value, value < 10 ? 1 : 0)) ms" }

/// What `pumice-bench node` has measured in a node, in milliseconds.
private struct Figures {
  private var values: [String: Double] = [:]
  private let output: String

  init(of arguments: [String], on node: LabNode) async throws {
    let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let words = ([program, "node"] + arguments).map { "'\($0)'" }.joined(separator: " ")
    output = try await node.run(words, within: .seconds(900))
    for line in output.split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count == 2, let value = Double(words[1]) { values[String(words[0])] = value }
    }
  }

  subscript(_ name: String) -> Double {
    get throws {
      guard let value = values[name] else { throw TestBedFailure("\(name) was not measured: \(output)") }
      return value
    }
  }
}
