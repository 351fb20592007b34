import Conformance
import Foundation
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

/// The disk below the volume group fails, and comes back.
struct LVMFailingDisksTests {
  typealias Provisioning = LVMBackendConfiguration.Provisioning

  /// A thin pool whose metadata can't be written needs a repair; that is another matter.
  @Test(arguments: [(FailingDisk.State.dead, Provisioning.thin), (.dead, .thick), (.readOnly, .thick)])
  func whatFailsOnABadDiskIsSaidAndLeavesNothing(_ state: FailingDisk.State, _ provisioning: Provisioning)
    async throws
  {
    try await FailingDisk.with { disk, group in
      let configuration = group.configuration(provisioning)
      let backend = try await LVMBackend.open(configuration, logger: .silent)
      let (kept, doomed, new, snapshot) = (VolumeID.random(), VolumeID.random(), VolumeID.random(), SnapshotID.random())
      let volume = try await backend.ensured(kept, group.request(.mebibytes(8)))
      try await backend.activate(kept, pool: "lvm")
      try await StampedContent.write(4, volume)
      try await backend.deactivate(kept, pool: "lvm")
      let other = try await backend.ensured(doomed, group.request(.mebibytes(8)))
      let names = try await group.names()

      try await disk.become(state)
      let attempts: [() async throws -> Void] = [
        { _ = try await backend.ensured(new, group.request(.mebibytes(4))) },
        { _ = try await backend.ensured(new, group.request(.mebibytes(8), source: .volume(kept))) },
        { _ = try await backend.ensured(kept, group.request(.mebibytes(16), revision: 2)) },
        { _ = try await backend.snapshotted(snapshot, group.snapshotRequest(of: kept)) },
        { try await backend.erase(doomed, pool: "lvm") },
      ]
      let start = ContinuousClock.now
      for attempt in attempts {
        let error = await refusal(attempt)
        // Nobody must take it for a volume, or a source, that is not there.
        #expect(error.map { $0.code == .failed || $0.code == .unavailable } == true, "\(error?.message ?? "")")
        #expect(error?.message.contains("vgt") == true)
      }
      #expect(ContinuousClock.now - start < .seconds(120))
      if case .dead = state {
        let report = try #require(await backend.pools().first)
        #expect(report.downReason?.contains("vgt") == true)
        let error = await refusal { _ = try await backend.volume(kept) }
        #expect(error?.code == .unavailable, "\(error?.message ?? "")")
      }

      try await disk.become(.healthy)
      let left = try await group.names()
      #expect(left == names, "nothing is half-made, nothing is gone")
      for backend in [backend, try await reopened(configuration)] {
        let (found, second) = (try await backend.volume(kept), try await backend.volume(doomed))
        #expect(found == volume)
        #expect(second == other)
        try await backend.activate(kept, pool: "lvm")
        let content = try await StampedContent.read(volume)
        #expect(content == StampedContent(4, .mebibytes(8)))
        try await backend.deactivate(kept, pool: "lvm")
      }
      for attempt in attempts { try await attempt() }
    }
  }

  /// As a path does that queues, or a target that does not answer: what reads it can't even be killed.
  @Test func aDiskThatHangsHoldsNobodyLongerThanTheDeadline() async throws {
    try await FailingDisk.with { disk, group in
      let configuration = group.configuration(.thick)
      let lvm = LVM(
        group: "vgt",
        patience: LVM.Patience(lock: .seconds(2), report: .seconds(4), metadata: .seconds(2), change: .seconds(6)),
        logger: .silent)
      let backend = LVMBackend(configuration, lvm: lvm, devices: KernelBlockDevices(), logger: .silent)
      let (id, other) = (VolumeID.random(), VolumeID.random())
      let volume = try await backend.ensured(id, group.request(.mebibytes(4)))

      try await disk.become(.hanging)
      for _ in 0..<2 {
        let start = ContinuousClock.now
        let error = await refusal { _ = try await backend.ensured(other, group.request(.mebibytes(4))) }
        #expect(error?.code == .timeout || error?.code == .unavailable, "\(error?.message ?? "")")
        // The deadlines, and what killed processes may take to be gone; a single block takes longer.
        #expect(ContinuousClock.now - start < .seconds(45))
        let report = try #require(await backend.pools().first)
        #expect(report.downReason != nil)
      }

      try await disk.become(.healthy)
      try await eventually("the group is served again", within: .seconds(60)) {
        await backend.pools().first?.downReason == nil
      }
      let found = try await backend.volume(id)
      #expect(found == volume)
      let made = try await backend.ensured(other, group.request(.mebibytes(4)))
      #expect(made.size == .mebibytes(4))
    }
  }
}
