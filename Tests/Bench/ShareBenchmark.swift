import Foundation
import PumiceAgent
import PumiceModel
import PumiceWire
import TestBed

/// Volumes on an NFS share, through libnfs and an nfs-ganesha: beside the bare calls, and beside `qemu-img`.
enum ShareBenchmark {
  static func run(_ report: inout Report) async throws {
    let (creation, listing, clone) = try await Bed.with { bed in
      let names = ["creation", "listing", "clone"]
      let paths = try names.map { try bed.folder.folder($0) }
      let server = try GaneshaDaemon(in: bed, exports: paths.map { .init(path: $0) })
      try await server.start()
      let shares = paths.map { Share(bed: bed, path: $0, name: "\(server.address):\($0)") }
      return (try await shares[0].creation(200), try await shares[1].listing(10_000), try await shares[2].clone(5))
    }
    let ratio = creation.ours / creation.bare
    report.add(
      "sparse volume on a share / its bare calls",
      "\(format(creation.ours)) ms / \(format(creation.bare)) ms = \(format(ratio, 2))", promise: "<= 3",
      holds: ratio <= 3)
    report.add(
      "free space of a share with 10,000 volumes", "\(format(listing.pools)) ms", promise: "< 50 ms",
      holds: listing.pools < 50)
    report.note("its volumes, with opening it", "\(format(listing.first, 0)) ms")
    report.note("its volumes, again", "\(format(listing.again, 0)) ms")
    let speed = clone.byQEMU / clone.ours
    report.add(
      "clone on a share / qemu-img convert",
      "\(format(512_000 / clone.ours, 0)) / \(format(512_000 / clone.byQEMU, 0)) MiB/s = \(format(speed, 2))",
      promise: ">= 0.8", holds: speed >= 0.8)
  }
}

private struct Share {
  let bed: Bed
  /// As the server sees it.
  let path: String
  let name: String

  private func open() async throws -> NFSBackend {
    try await NFSBackend.open(
      NFSBackendConfiguration(name: "nfs", shares: [.init(name)], access: .libnfs), of: "n1",
      logger: NodeBenchmark.silent)
  }

  private func request(_ size: ByteCount, source: VolumeSource? = nil) -> VolumeRequest {
    VolumeRequest(
      revision: 1, backend: "nfs", pool: name, size: size, source: source,
      description: VolumeDescription(name: "database", project: "project", type: "fast", metadata: ["a": "1"]))
  }

  /// Median milliseconds.
  func creation(_ count: Int) async throws -> (ours: Double, bare: Double) {
    let backend = try await open()
    let session = try await LibnfsSession.open(try NFSShare(name), LibnfsSettings(user: 0, group: 0))
    guard case .done(let model) = try await backend.ensure(.random(), request(.gibibytes(1))) else {
      throw TestBedFailure("A sparse volume is not there at once.")
    }
    let description = Array(try Data(contentsOf: URL(filePath: "\(path)/volume-\(model.id).json")))
    let clock = ContinuousClock()
    var (ours, bare): ([Double], [Double]) = ([], [])
    for number in 0..<count {
      let (data, sidecar) = (try NFSPath("bare-\(number)"), try NFSPath("bare-\(number).json"))
      let temporary = try NFSPath(".bare-\(number).new")
      bare.append(
        try await clock.measure {
          let file = try await session.create(data)
          try await file.truncate(to: .gibibytes(1))
          try await file.close()
          let beside = try await session.create(temporary)
          try await beside.write(description, at: 0)
          try await beside.sync()
          try await beside.close()
          try await session.rename(temporary, to: sidecar)
        }.milliseconds)
      ours.append(
        try await clock.measure { _ = try await backend.ensure(.random(), request(.gibibytes(1))) }.milliseconds)
    }
    return (ours.percentile(0.5), bare.percentile(0.5))
  }

  /// Milliseconds; of the free space the median.
  func listing(_ count: Int) async throws -> (pools: Double, first: Double, again: Double) {
    try await multiply(to: count)
    let clock = ContinuousClock()
    let start = clock.now
    let backend = try await open()
    guard try await backend.volumes().count == count else { throw TestBedFailure("There are not \(count) volumes.") }
    let first = clock.now - start
    let again = try await clock.measure { _ = try await backend.volumes() }
    var pools: [Double] = []
    for _ in 0..<21 {
      var reports: [PoolReport] = []
      pools.append(await clock.measure { reports = await backend.pools() }.milliseconds)
      guard reports.count == 1, reports[0].downReason == nil else {
        throw TestBedFailure("The pool is down: \(reports)")
      }
    }
    return (pools.percentile(0.5), first.milliseconds, again.milliseconds)
  }

  /// Makes more of one volume, on the server's side.
  private func multiply(to count: Int) async throws {
    let id = VolumeID.random()
    _ = try await open().ensure(id, request(.gibibytes(1)))
    let description = try String(contentsOfFile: "\(path)/volume-\(id).json", encoding: .utf8)
    for _ in 1..<count {
      let other = VolumeID.random()
      let file = "\(path)/volume-\(other)"
      guard FileManager.default.createFile(atPath: file, contents: nil), truncate(file, 1 << 30) == 0 else {
        throw TestBedFailure("\(file) could not be made.")
      }
      try description.replacingOccurrences(of: "\(id)", with: "\(other)")
        .write(toFile: "\(file).json", atomically: false, encoding: .utf8)
    }
  }

  /// Median milliseconds for half a gibibyte, with three fifths of it data, in pieces of many sizes.
  func clone(_ rounds: Int) async throws -> (ours: Double, byQEMU: Double) {
    let backend = try await open()
    let origin = VolumeID.random()
    _ = try await backend.ensure(origin, request(.mebibytes(512)))
    let file = "\(path)/volume-\(origin)"
    try fill(file)
    let server = name.replacingOccurrences(of: ":\(path)", with: path)
    let clock = ContinuousClock()
    var (ours, byQEMU): ([Double], [Double]) = ([], [])
    for round in 0..<rounds {
      try await bed.run(["sync"])
      byQEMU.append(
        try await clock.measure {
          try await bed.run([
            "qemu-img", "convert", "-f", "raw", "-O", "raw", "nfs://\(server)/volume-\(origin)",
            "nfs://\(server)/by-qemu-\(round)",
          ])
        }.milliseconds)
      try await bed.run(["sync"])
      let copy = VolumeID.random()
      ours.append(
        try await clock.measure {
          while case .underway = try await backend.ensure(
            copy, request(.mebibytes(512), source: .volume(origin)))
          {}
        }.milliseconds)
      for made in ["by-qemu-\(round)", "volume-\(copy)"] { try await bed.run(["cmp", file, "\(path)/\(made)"]) }
      try FileManager.default.removeItem(atPath: "\(path)/by-qemu-\(round)")
      while try await !backend.remove(copy, pool: name).isComplete {}
    }
    return (ours.percentile(0.5), byQEMU.percentile(0.5))
  }

  private func fill(_ file: String) throws {
    let handle = try FileHandle(forWritingTo: URL(filePath: file))
    defer { try? handle.close() }
    var dice = SystemRandomNumberGenerator()
    let noise = Data(
      (0..<(1 << 20)).map { _ in UInt64.random(in: 1 ... .max, using: &dice) }
        .withUnsafeBytes { Array($0) })
    var position = 0
    // 4 KiB to 7 MiB of data each, and two thirds as much of nothing behind it.
    for length in [4, 64, 600, 1000, 2 << 10, 7 << 10, 16, 5 << 10, 100].map({ $0 << 10 }).cycled() {
      guard position + length <= 512 << 20 else { break }
      try handle.seek(toOffset: UInt64(position))
      try handle.write(contentsOf: noise.prefix(length))
      position += (length * 5 / 3 + 4095) & ~4095
    }
  }
}

extension Array {
  fileprivate func cycled() -> some Sequence<Element> {
    sequence(state: 0) { index in
      defer { index += 1 }
      return self[index % count]
    }
  }
}
