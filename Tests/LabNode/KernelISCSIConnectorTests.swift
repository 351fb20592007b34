import Conformance
import Foundation
import Logging
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

/// The kernel's initiator against targets of the same node.
@Suite(.serialized) struct KernelISCSIConnectorTests {
  @Test(.timeLimit(.minutes(3))) func keepsThePromisesOfAConnector() async throws {
    try await NodeTargets.with { targets in
      try await ConnectorConformance(
        targets.connector(), exporter: targets.exporter, backend: targets.backend, pool: "files",
        deadPortal: "127.0.0.1:\(try freePort())"
      ).check()
      #expect(leavings() == [])
    }
  }

  @Test(.timeLimit(.minutes(3)), arguments: ["127.0.0.1", "[::1]"])
  func keepsThemWithTheKernelsTargetToo(at address: String) async throws {
    _ = try await CommandRunner().run("modprobe", ["ipv6"])
    try await NodeTargets.with { targets in
      let exporter = try kernelTarget(at: address)
      try await ConnectorConformance(
        targets.connector(), exporter: exporter, backend: targets.backend, pool: "files",
        deadPortal: "\(address):\(try freePort())"
      ).check()
      #expect(leavings() == [])
    }
  }

  @Test(.timeLimit(.minutes(2))) func aTargetThatDoesNotKnowItsSecretIsNotLetIn() async throws {
    try await NodeTargets.with { targets in
      let (connector, exporter) = (targets.connector(), try kernelTarget())
      let volume = try await targets.backend.ensured(
        .random(),
        VolumeRequest(
          revision: 1, backend: "files", pool: "files", size: .mebibytes(8),
          description: VolumeDescription(name: "", project: "project", type: "__DEFAULT__")))
      let attachment = AttachmentID.random()
      var dice = SystemRandomNumberGenerator()
      let account = CHAPAccount(for: attachment, using: &dice)
      let targetAccount = CHAPAccount.target(for: attachment, using: &dice)
      var export = Export(
        attachment: attachment, volume: volume.id, revision: 1, backend: "files", pool: "files", path: volume.path,
        initiator: connector.description.initiatorName(for: attachment), readOnly: false, chapUser: account.user,
        chapSecret: account.secret, targetAccount: targetAccount)
      let request = ConnectionRequest(
        revision: 1, volume: volume.id, instance: .random(), size: .mebibytes(8),
        target: try await exporter.ensure(export))
      #expect(request.target.targetAccount == targetAccount)

      _ = try await connector.connect(attachment, request)
      let session = try #require(KernelView(reading: Sysfs(), of: attachment).sessions.first)
      #expect(Sysfs().text("class/iscsi_session/\(session.name)/username_in") == targetAccount.user)
      try await connector.disconnect(attachment)

      // Somebody who knows all of the volume but the target's secret.
      export.targetAccount?.secret = "a-guess-of-the16"
      _ = try await exporter.ensure(export)
      await expect(.notFound) { try await connector.connect(attachment, request) }
      #expect(leavings() == [])
      // Somebody who has none to show.
      export.targetAccount = nil
      _ = try await exporter.ensure(export)
      await expect(.notFound) { try await connector.connect(attachment, request) }
      #expect(leavings() == [])

      export.targetAccount = targetAccount
      _ = try await exporter.ensure(export)
      _ = try await connector.connect(attachment, request)
      try await connector.disconnect(attachment)
      // QEMU asks for nothing.
      export.targetAccount = nil
      var oneWay = request
      oneWay.target = try await exporter.ensure(export)
      _ = try await connector.connect(attachment, oneWay)
      try await connector.disconnect(attachment)
      try await exporter.remove(export, remaining: [])
      #expect(leavings() == [])
    }
  }

  @Test(.timeLimit(.minutes(1))) func theDiskIsTheVolumeUnderANameThatStays() async throws {
    try await NodeTargets.with { targets in
      let connector = targets.connector()
      let volume = try await targets.export(to: connector)
      let path = try devicePath(of: try await connector.connect(volume.attachment, volume.request))
      #expect(path == "/run/pumice/disks/\(volume.attachment)")
      try await targets.bed.run(["dd", "if=/dev/urandom", "of=\(path)", "bs=1M", "count=8", "oflag=direct"])
      let disk = try await targets.bed.run(["sha256sum", path]).prefix(64)
      let file = try await targets.bed.run(["sha256sum", volume.export.path]).prefix(64)
      #expect(disk == file)
      try await connector.disconnect(volume.attachment)
      #expect(leavings() == [])
    }
  }

  @Test(.timeLimit(.minutes(1))) func aDiskWithAnotherSerialIsRefusedAndNothingIsLeft() async throws {
    try await NodeTargets.with { targets in
      let connector = targets.connector()
      var volume = try await targets.export(to: connector)
      volume.request.volume = .random()
      await expect(.wrongDevice) { try await connector.connect(volume.attachment, volume.request) }
      #expect(leavings() == [])
    }
  }

  @Test(.timeLimit(.minutes(1))) func aWrongSecretIsRefusedAndNothingIsLeft() async throws {
    try await NodeTargets.with { targets in
      let connector = targets.connector()
      var volume = try await targets.export(to: connector)
      volume.request.target.chapSecret = "not-the-secret16"
      await expect(.forbidden) { try await connector.connect(volume.attachment, volume.request) }
      #expect(leavings() == [])
    }
  }

  @Test(.timeLimit(.minutes(1))) func aRepeatAfterAnExtendShowsTheNewSize() async throws {
    try await NodeTargets.with { targets in
      let connector = targets.connector()
      var volume = try await targets.export(to: connector)
      let path = try devicePath(of: try await connector.connect(volume.attachment, volume.request))
      try await targets.grow(volume, to: .mebibytes(16))
      volume.request.size = .mebibytes(16)
      _ = try await connector.connect(volume.attachment, volume.request)
      #expect(try await targets.bed.run(["blockdev", "--getsize64", path]) == "\(16 << 20)\n")
      try await connector.disconnect(volume.attachment)
    }
  }

  @Test(.timeLimit(.minutes(1))) func aDiskInUseIsNotTakenAway() async throws {
    try await NodeTargets.with { targets in
      let connector = targets.connector()
      let volume = try await targets.export(to: connector)
      let path = try devicePath(of: try await connector.connect(volume.attachment, volume.request))
      // As QEMU does: open, and not claimed.
      let reader = try targets.bed.start(["sh", "-c", "exec sleep 600 <\(path)"], name: "reader")
      try await eventually("the disk is open") {
        try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(reader.id)/fd/0").hasPrefix("/dev/sd")
      }
      await expect(.inUse) { try await connector.disconnect(volume.attachment) }
      #expect(KernelView(reading: Sysfs(), of: volume.attachment).sessions.first?.isLoggedIn == true)
      try await reader.end(grace: .zero)

      try await targets.bed.run(["mkfs.ext4", "-q", path])
      let folder = try targets.bed.folder.folder("mount")
      try await targets.bed.run(["mount", path, folder])
      await expect(.inUse) { try await connector.disconnect(volume.attachment) }
      try await targets.bed.run(["umount", folder])
      try await connector.disconnect(volume.attachment)
      #expect(leavings() == [])
    }
  }

  @Test(.timeLimit(.minutes(1))) func aSessionWhoseTargetIsGoneIsEnded() async throws {
    try await NodeTargets.with { targets in
      let connector = targets.connector()
      let volume = try await targets.export(to: connector)
      _ = try await connector.connect(volume.attachment, volume.request)
      try await targets.daemon.kill9()
      try await eventually("the session is down") {
        KernelView(reading: Sysfs(), of: volume.attachment).sessions.first?.isLoggedIn == false
      }
      await expect(.unavailable) { try await connector.connect(volume.attachment, volume.request) }
      try await connector.disconnect(volume.attachment)
      #expect(leavings() == [])
    }
  }

  @Test(.timeLimit(.minutes(1))) func theSameSessionCarriesOnWhenTheTargetIsBack() async throws {
    try await NodeTargets.with { targets in
      let connector = targets.connector()
      let volume = try await targets.export(to: connector)
      let path = try devicePath(of: try await connector.connect(volume.attachment, volume.request))
      let before = KernelView(reading: Sysfs(), of: volume.attachment).sessions.map(\.number)
      try await targets.daemon.kill9()
      try await targets.daemon.start()
      _ = try await targets.exporter.ensure(volume.export)
      try await targets.bed.run(["dd", "if=\(path)", "of=/dev/null", "bs=1M", "iflag=direct"])
      _ = try await connector.connect(volume.attachment, volume.request)
      #expect(KernelView(reading: Sysfs(), of: volume.attachment).sessions.map(\.number) == before)
      try await connector.disconnect(volume.attachment)
    }
  }

  @Test(.timeLimit(.minutes(1))) func attachmentsOfOneVolumeDoNotShareASession() async throws {
    try await NodeTargets.with { targets in
      let connector = targets.connector()
      let one = try await targets.export(to: connector)
      let other = AttachmentID.random()
      let export = Export(
        attachment: other, volume: one.export.volume, revision: 1, backend: "files", pool: "files",
        path: one.export.path, initiator: connector.description.initiatorName(for: other), readOnly: false,
        chapUser: "\(other)", chapSecret: "secret-of-others")
      let target = try await targets.exporter.ensure(export)
      let request = ConnectionRequest(
        revision: 1, volume: one.export.volume, instance: .random(), size: .mebibytes(8), target: target)
      _ = try await connector.connect(one.attachment, one.request)
      _ = try await connector.connect(other, request)
      let initiators = Set(KernelView(reading: Sysfs()).sessions.map(\.initiator))
      #expect(initiators == [one.export.initiator, export.initiator])
      try await connector.disconnect(one.attachment)
      #expect(KernelView(reading: Sysfs()).sessions.map(\.attachment) == [other])
      try await connector.disconnect(other)
      #expect(leavings() == [])
    }
  }

  @Test(.timeLimit(.minutes(1))) func theNameLeadsToTheNewDeviceAfterTheSessionWasLost() async throws {
    try await NodeTargets.with { targets in
      let connector = targets.connector()
      let volumes = [try await targets.export(to: connector), try await targets.export(to: connector)]
      for volume in volumes { _ = try await connector.connect(volume.attachment, volume.request) }
      // As after a reboot: everything that the kernel had is gone, and others are first.
      for session in KernelView(reading: Sysfs()).sessions { try await connector.logOut(session) }
      for volume in volumes.reversed() {
        let path = try devicePath(of: try await connector.connect(volume.attachment, volume.request))
        #expect(try BlockDevice(path: path).unitSerial() == volume.request.volume.description)
      }
      for volume in volumes { try await connector.disconnect(volume.attachment) }
      #expect(leavings() == [])
    }
  }

  @Test(.timeLimit(.minutes(1))) func whatNoAttachmentAccountsForIsFoundAndOnlyIfItIsOurs() async throws {
    try await NodeTargets.with { targets in
      let (connector, neighbour) = (targets.connector(), targets.connector("iqn.2026-11.io.pumice:node-neighbour"))
      let (leaked, wanted) = (try await targets.export(to: connector), try await targets.export(to: connector))
      let foreign = try await targets.export(to: neighbour)
      for volume in [leaked, wanted] { _ = try await connector.connect(volume.attachment, volume.request) }
      _ = try await neighbour.connect(foreign.attachment, foreign.request)
      let kept = wanted.attachment
      let found = try await connector.leftovers { $0 == kept }
      #expect(found.map(\.kind) == [.leakedSession])
      #expect(found.map(\.attachment) == [leaked.attachment])
      try await connector.disconnect(leaked.attachment)
      #expect(try await connector.leftovers { $0 == kept }.isEmpty)
      #expect(
        Set(KernelView(reading: Sysfs()).sessions.map(\.attachment)) == [wanted.attachment, foreign.attachment])
      try await connector.disconnect(wanted.attachment)
      try await neighbour.disconnect(foreign.attachment)
      #expect(leavings() == [])
    }
  }

  @Test(.timeLimit(.minutes(1))) func aNewSecretTakesEffectOnceTheDiskIsFree() async throws {
    try await NodeTargets.with { targets in
      let connector = targets.connector()
      let old = try await targets.export(to: connector)
      let path = try devicePath(of: try await connector.connect(old.attachment, old.request))
      let reader = try targets.bed.start(["sh", "-c", "exec sleep 600 <\(path)"], name: "reader")
      try await eventually("the disk is open") { !DeviceUsers.processes(using: try numbers(of: path)).isEmpty }
      var request = old.request
      request.target.chapSecret = "another-secret16"
      // The running session serves a guest: it must not be sacrificed to a caller who knows another secret.
      await expect(.inUse) { [request] in try await connector.connect(old.attachment, request) }
      #expect(KernelView(reading: Sysfs(), of: old.attachment).sessions.first?.isLoggedIn == true)
      try await reader.end(grace: .zero)
      await expect(.forbidden) { [request] in try await connector.connect(old.attachment, request) }
      #expect(leavings() == [])
    }
  }

  @Test(.timeLimit(.minutes(2))) func aTargetThatSaysNothingHoldsUpNoOtherVolume() async throws {
    try await NodeTargets.with { targets in
      let connector = targets.connector()
      var mute = try await targets.export(to: connector)
      let others = [try await targets.export(to: connector), try await targets.export(to: connector)]
      let silent = try SilentPortal()
      mute.request.target.portals = [silent.address]
      let (attachment, request) = (mute.attachment, mute.request)
      try await withThrowingTaskGroup(of: Bool.self) { group in
        group.addTask {
          await expect(.unavailable) { try await connector.connect(attachment, request) }
          return true
        }
        for other in others {
          group.addTask {
            _ = try await connector.connect(other.attachment, other.request)
            return false
          }
        }
        var order: [Bool] = []
        for try await isMute in group { order.append(isMute) }
        #expect(order == [false, false, true])
      }
      for other in others { try await connector.disconnect(other.attachment) }
      #expect(leavings() == [])
    }
  }

  @Test(.timeLimit(.minutes(3))) func manyVolumesAtOnce() async throws {
    try await NodeTargets.with { targets in
      let connector = targets.connector()
      var volumes: [ExportedVolume] = []
      for _ in 0..<32 { volumes.append(try await targets.export(.mebibytes(1), to: connector)) }
      let clock = ContinuousClock()
      let together = try await clock.measure {
        try await withThrowingTaskGroup { group in
          for volume in volumes {
            group.addTask { _ = try await connector.connect(volume.attachment, volume.request) }
          }
          try await group.waitForAll()
        }
      }
      let serials = KernelView(reading: Sysfs()).disks.compactMap(\.serial)
      #expect(Set(serials) == Set(volumes.map(\.request.volume.description)))
      let apart = try await clock.measure {
        try await withThrowingTaskGroup { group in
          for volume in volumes { group.addTask { try await connector.disconnect(volume.attachment) } }
          try await group.waitForAll()
        }
      }
      print("32 connects at once took \(together), 32 disconnects at once \(apart)")
      #expect(leavings() == [])
    }
  }
}

/// An exporter of the test's own.
private func kernelTarget(at address: String = "127.0.0.1") throws -> LIOExporter {
  try LIOExporter(
    portals: ["\(address):\(try freePort())"], iqnPrefix: "iqn.2026-11.io.pumice.test-\(VolumeID.random().high)",
    configfs: KernelConfigfs(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
  ) { () async throws(StorageError) in try await LIOKernel().prepare() }
}

private func numbers(of path: String) throws -> Set<String> { [try #require(BlockDevice(path: path).number)] }

func expect<Value: Sendable>(
  _ code: StorageError.Code, _ body: () async throws -> Value, sourceLocation: SourceLocation = #_sourceLocation
) async {
  do {
    _ = try await body()
    Issue.record("Expected \(code), but nothing was thrown.", sourceLocation: sourceLocation)
  } catch let error as StorageError {
    #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
  } catch {
    Issue.record("Expected \(code), got \(error).", sourceLocation: sourceLocation)
  }
}
