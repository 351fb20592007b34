import Conformance
import Foundation
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

/// A small thin pool with a volume that is full, whose content must come through whatever happens to the pool.
struct ThinPoolOfATest: Sendable {
  let group: VolumeGroupOfATest
  let configuration: LVMBackendConfiguration
  let backend: LVMBackend
  private let witness: StoredVolume

  static let witnessSize = ByteCount.mebibytes(8)

  static func with(
    size: ByteCount, metadata: ByteCount, _ change: (inout LVMBackendConfiguration) -> Void = { _ in },
    _ body: (ThinPoolOfATest) async throws -> Void
  ) async throws {
    try await VolumeGroupOfATest.with("vgt") { group in
      try await sh(
        """
        lvcreate -qq -y --type thin-pool -L \(size.bytes)b --poolmetadatasize \(metadata.bytes)b --chunksize 64k \
        --zero y -n vgt-pool vgt
        """)
      let configuration = group.configuration(.thin, change)
      let backend = try await LVMBackend.open(configuration, logger: .silent)
      let witness = try await backend.ensured(.random(), group.request(Self.witnessSize))
      try await backend.activate(witness.id, pool: "lvm")
      try await StampedContent.write(7, witness)
      let pool = ThinPoolOfATest(group: group, configuration: configuration, backend: backend, witness: witness)
      try await body(pool)
      let content = try await StampedContent.read(witness)
      #expect(content == StampedContent(7, Self.witnessSize))
    }
  }

  /// As it is now; the pool guard judges by this from then on.
  func report() async throws -> PoolReport { try #require(await backend.pools().first) }

  func waitUntilDown(_ reason: String) async throws {
    try await eventually("the pool is down: \(reason)", within: .seconds(60)) {
      try await Task.sleep(for: .seconds(2))
      return try await report().downReason?.contains(reason) == true
    }
  }

  /// What is new is refused with this, and leaves nothing behind.
  func expectRefusal(_ code: StorageError.Code, _ reason: String, of volume: VolumeID) async throws {
    let before = try await group.names()
    let (new, snapshot) = (VolumeID.random(), SnapshotID.random())
    let requests: [() async throws -> Void] = [
      { _ = try await backend.ensure(new, group.request(.mebibytes(4))) },
      { _ = try await backend.ensure(new, group.request(.gibibytes(1), source: .volume(volume))) },
      { _ = try await backend.ensure(volume, group.request(.gibibytes(1), revision: 2)) },
      { _ = try await backend.ensureSnapshot(snapshot, group.snapshotRequest(of: volume), inUse: true) },
    ]
    for request in requests {
      let error = await refusal(request)
      #expect(error?.code == code && error?.message.contains(reason) == true, "\(error?.message ?? "")")
    }
    let after = try await group.names()
    #expect(after == before)
  }

  /// The pool takes new volumes, and they hold what is written to them.
  func expectService() async throws {
    let report = try await report()
    #expect(report.downReason == nil)
    let volume = try await backend.ensured(.random(), group.request(.mebibytes(4)))
    try await backend.activate(volume.id, pool: "lvm")
    try await StampedContent.write(9, volume)
    let content = try await StampedContent.read(volume)
    #expect(content == StampedContent(9, .mebibytes(4)))
    try await backend.deactivate(volume.id, pool: "lvm")
    try await backend.erase(volume.id, pool: "lvm")
  }
}
