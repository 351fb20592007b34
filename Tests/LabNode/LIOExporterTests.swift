import Conformance
import Glibc
import Logging
import PumiceModel
import PumiceWire
import Synchronization
import TestBed
import Testing

@testable import PumiceAgent

/// Against the kernel's own target, as root in a node of the lab.
@Suite(.serialized) struct LIOExporterTests {
  static let portal = "127.0.0.1:3260"
  let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
  /// Every test has targets of its own name.
  let prefix = "iqn.2026-11.io.pumice.test-\(VolumeID.random().high)"

  // MARK: The port's promises

  @Test(.timeLimit(.minutes(10))) func keepsThePromisesOfAnExporter() async throws {
    try await withBackend { exporter, backend in
      let foreign = "/sys/kernel/config/target/iscsi/iqn.2024-01.org.example:foreign"
      try await shell("mkdir -p \(foreign)/tpgt_1; mkdir -p \(foreign)/tpgt_1/acls/iqn.2024-01.org.example:a")
      // As a crash leaves it after each single step.
      let steps = try await operations(backend).count
      #expect(steps > 30)
      let prefix = prefix
      var plants: [@Sendable (Export) async throws -> Void] = []
      for count in 0..<steps {
        plants.append { export in
          for operation in try Self.operations(export, prefix: prefix).prefix(count) {
            try KernelConfigfs().perform(operation)
          }
        }
      }
      let hooks = ExporterConformance.Hooks(
        restartTarget: { try await clear(prefix) }, plantHalfMade: plants,
        foreign: { try await shell("find \(foreign); cat \(foreign)/tpgt_1/attrib/*") })
      try await ExporterConformance(
        exporter, initiator: LibiscsiInitiator(), backend: backend, pool: "files", hooks: hooks
      ).check()
      try await shell("rmdir \(foreign)/tpgt_1/acls/* \(foreign)/tpgt_1 \(foreign)")
    }
  }

  @Test func exportsAreFoundByAnAgentThatHasJustStarted() async throws {
    try await withBackend { exporter, backend in
      let volume = try await volume(backend)
      let other = try await self.volume(backend)
      let node = "iqn.2026-11.org.example:node"
      let exports = [export(volume), export(volume), export(volume, initiator: node), export(other, initiator: node)]
      for export in exports { _ = try await exporter.ensure(export) }
      let successor = try makeExporter()
      let found = try await successor.exports()
      #expect(Set(found.map(\.attachment)) == Set(exports.map(\.attachment)))
      for export in exports {
        let session = try await logIn(to: try await successor.ensure(export))
        await session.logOut()
      }
      for (index, export) in exports.enumerated() {
        try await successor.remove(export, remaining: exports[(index + 1)...].filter { $0.volume == export.volume })
      }
      let left = try await exporter.exports()
      #expect(left.isEmpty)
    }
  }

  @Test func attachmentsOfEveryBeginningGetIn() async throws {
    try await withBackend { exporter, backend in
      let volume = try await volume(backend)
      for beginning in ["0b05e989", "0e05e989", "00000000", "ffffffff"] {
        let attachment = try #require(AttachmentID("\(beginning)-7359-4128-aeef-2456bff49ac3"))
        let export = Export(
          attachment: attachment, volume: volume.id, revision: 1, backend: "files", pool: "files", path: volume.path,
          initiator: "iqn.2026-11.org.example:node", readOnly: false, chapUser: CHAPAccount.user(for: attachment),
          chapSecret: "secret-of-16-cha")
        let session = try await logIn(to: try await exporter.ensure(export))
        await session.logOut()
        try await exporter.remove(export, remaining: [])
      }
    }
  }

  @Test func eachInitiatorIsReadOnlyOrNotByItself() async throws {
    try await withBackend { exporter, backend in
      let volume = try await volume(backend)
      let (reader, writer) = (export(volume, readOnly: true), export(volume))
      for (export, canWrite) in [(reader, false), (writer, true), (reader, false)] {
        let target = try await exporter.ensure(export)
        #expect(try await Self.canWrite(target) == canWrite)
      }
      try await exporter.remove(reader, remaining: [writer])
      #expect(try await Self.canWrite(try await exporter.ensure(writer)))
      try await exporter.remove(writer, remaining: [])
    }
  }

  @Test func serialAndIdentityAreTheVolumesId() async throws {
    try await withBackend { exporter, backend in
      let volume = try await volume(backend)
      let export = export(volume)
      let target = try await exporter.ensure(export)
      let (serial, designators) = try await BlockingCalls.run { () throws(StorageError) in
        let session = try Self.session(target)
        return (try session.unitSerial(), try session.designators())
      }
      #expect(serial == "\(volume.id)")
      #expect(designators.contains { $0.hasPrefix("PUMICE") && $0.contains("\(volume.id)") })
      try await exporter.remove(export, remaining: [])
    }
  }

  @Test func everyPortalIsAWayIn() async throws {
    try await shell("modprobe ipv6")
    try await withBackend(portals: [Self.portal, "[::1]:3260"]) { exporter, backend in
      let export = export(try await volume(backend))
      var target = try await exporter.ensure(export)
      #expect(target.portals == [Self.portal, "[::1]:3260"])
      for portal in target.portals {
        target.portals = [portal]
        let session = try await logIn(to: target)
        await session.logOut()
      }
      // The agent is told another portal, and a guest stays on the old one.
      target.portals = [Self.portal]
      let session = try await logIn(to: target)
      let moved = try makeExporter(portals: ["127.0.0.1:3261"])
      let anew = try await moved.ensure(export)
      #expect(await session.isUp())
      let other = try await logIn(to: anew)
      await other.logOut()
      await session.logOut()
      try await moved.remove(export, remaining: [])
    }
  }

  @Test func secretsGoNowhereElse() async throws {
    try await withBackend { exporter, backend in
      let export = export(try await volume(backend))
      let target = try await exporter.ensure(export)
      await #expect(throws: StorageError.self) {
        _ = try await LibiscsiInitiator().logIn(
          to: target, as: export.initiator, user: export.chapUser, secret: "notthesecret12")
      }
      #expect(try await !shell("dmesg").contains(export.chapSecret))
      try await exporter.remove(export, remaining: [])
    }
  }

  @Test func strangersDoNotLearnThatATargetExists() async throws {
    try await withBackend { exporter, backend in
      let export = export(try await volume(backend))
      let target = try await exporter.ensure(export)
      let known = try await shell("iscsi-ls -i \(export.initiator) iscsi://\(Self.portal)")
      let unknown = try await shell("iscsi-ls -i iqn.2026-11.org.example:stranger iscsi://\(Self.portal)")
      #expect(known.contains(target.iqn) && !unknown.contains(target.iqn))
      try await exporter.remove(export, remaining: [])
    }
  }

  @Test func aPortThatSomebodyElseHasIsUnavailable() async throws {
    try await withBackend(portals: ["127.0.0.1:3262"]) { exporter, backend in
      let export = export(try await volume(backend))
      try await shell(
        """
        socat TCP-LISTEN:3262,bind=127.0.0.1 - </dev/zero >/dev/null 2>&1 & echo $! >/run/listener
        until grep -q :0CBE /proc/net/tcp; do sleep 0.05; done
        """)
      let error = await #expect(throws: StorageError.self) { try await exporter.ensure(export) }
      #expect(error?.code == .unavailable && error?.message.contains("127.0.0.1:3262") == true)
      let listed = try await exporter.exports()
      #expect(listed.isEmpty)
      try await shell("kill $(cat /run/listener); sleep 0.2")
      let session = try await logIn(to: try await exporter.ensure(export))
      await session.logOut()
      try await exporter.remove(export, remaining: [])
    }
  }

  // MARK: Growth

  @Test(.timeLimit(.minutes(3))) func aFileGrowsUnderWritesWithoutAnError() async throws {
    try await withBackend { exporter, backend in
      let volume = try await volume(backend, .mebibytes(8))
      let export = export(volume)
      let writer = Writer(try await exporter.ensure(export))
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await writer.run() }
        for step in 1...20 {
          _ = try await grown(backend, volume, .mebibytes(8 + step))
          _ = try await exporter.ensure(export)
        }
        try await eventually("the writer goes on") { writer.written > 100 }
        writer.stop()
        try await group.waitForAll()
      }
      let disk = try await logIn(to: try await exporter.ensure(export))
      #expect(try await disk.disk().size == .mebibytes(28))
      await disk.logOut()
      try await exporter.remove(export, remaining: [])
    }
  }

  @Test(.timeLimit(.minutes(3))) func aLogicalVolumeIsExportedAndGrows() async throws {
    try await withVolumeGroup { group in
      let id = VolumeID.random()
      try await shell(
        "lvcreate -qq --yes -T -L 200m \(group)/pool; lvcreate -qq --yes -V 64m -T \(group)/pool -n volume")
      let exporter = try makeExporter()
      let export = export(id, path: "/dev/\(group)/volume")
      let session = try await logIn(to: try await exporter.ensure(export))
      var disk = try await session.disk()
      #expect(disk == TestDisk(volume: id, size: .mebibytes(64)))
      try await shell("lvextend -qq -L 96m \(group)/volume")
      _ = try await exporter.ensure(export)
      disk = try await session.disk()
      #expect(disk == TestDisk(volume: id, size: .mebibytes(96)))

      let backstore = LIONames(prefix: prefix, volume: id).backstore(.iblock)
      let configfs = KernelConfigfs()
      #expect(try configfs.value("\(backstore)/attrib/emulate_tpu") == "1")
      #expect(try configfs.value("\(backstore)/attrib/emulate_write_cache") != nil)
      let inUse = try await shell("lvremove -f \(group)/volume 2>&1 || echo refused")
      #expect(inUse.contains("refused"))
      try await exporter.remove(export, remaining: [])
      #expect(await !session.isUp())
      await session.logOut()
      try await shell("lvremove -qq -f \(group)/volume")
    }
  }

  @Test func aDiskThatSomebodyElseUsesIsInUse() async throws {
    try await withVolumeGroup { group in
      let folder = try TemporaryFolder()
      defer { folder.remove() }
      try await shell(
        "lvcreate -qq --yes -L 32m -n volume \(group); mkfs.ext4 -q /dev/\(group)/volume; mount /dev/\(group)/volume \(folder.path)"
      )
      let exporter = try makeExporter()
      let export = export(.random(), path: "/dev/\(group)/volume")
      let error = await #expect(throws: StorageError.self) { try await exporter.ensure(export) }
      #expect(error?.code == .inUse, "\(error?.message ?? "")")
      try await shell("umount \(folder.path)")
      _ = try await exporter.ensure(export)
      try await exporter.remove(export, remaining: [])
    }
  }

  // MARK: Fences

  @Test(.timeLimit(.minutes(2))) func afterAFenceNoWriteReachesTheVolume() async throws {
    try await withBackend { exporter, backend in
      let volume = try await volume(backend)
      for _ in 0..<5 {
        let export = export(volume)
        let writer = Writer(try await exporter.ensure(export))
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask { try? await writer.run() }
          try await eventually("the writer is at work") { writer.written > 20 }
          try await exporter.remove(export, remaining: [])
          let mark = [UInt8](repeating: 0xAA, count: 512)
          try Self.overwrite(volume.path, mark)
          try await group.waitForAll()
          #expect(try Self.firstBlock(volume.path) == mark)
        }
        #expect(!writer.isStopped, "it was the fence that ended the writes")
      }
    }
  }

  @Test(.timeLimit(.minutes(3))) func aDiskThatDoesNotAnswerKeepsNobodyElseWaiting() async throws {
    try await withVolumeGroup { group in
      try await withBackend { _, backend in
        try await shell("lvcreate -qq --yes -L 32m -n volume \(group)")
        let exporter = try makeExporter(patience: .seconds(1))
        let stuck = export(.random(), path: "/dev/\(group)/volume")
        let other = export(try await volume(backend))
        let writer = Writer(try await exporter.ensure(stuck))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
          tasks.addTask { try? await writer.run() }
          try await eventually("the writer is at work") { writer.written > 20 }
          try await shell("dmsetup suspend --noflush --nolockfs \(group)-volume")
          try await Task.sleep(for: .milliseconds(200))

          let start = ContinuousClock.now
          for _ in 0..<3 {
            let error = await #expect(throws: StorageError.self) { try await exporter.remove(stuck, remaining: []) }
            #expect(error?.code == .timeout && error?.isTransient == true, "\(error?.message ?? "no error")")
          }
          #expect(ContinuousClock.now - start < .seconds(20))
          // Others can be listed, exported, used and fenced meanwhile.
          let session = try await logIn(to: try await exporter.ensure(other))
          let listed = try await exporter.exports()
          #expect(Set(listed.map(\.attachment)) == [stuck.attachment, other.attachment], "its session is not over")
          #expect(await session.isUp())
          try await exporter.remove(other, remaining: [])
          await session.logOut()

          try await shell("dmsetup resume \(group)-volume")
          try await eventually("the kernel lets go") {
            do throws(StorageError) {
              try await exporter.remove(stuck, remaining: [])
              return true
            } catch  where error.code == .timeout {
              return false
            }
          }
          writer.stop()
          try await tasks.waitForAll()
        }
        let left = try await exporter.exports()
        #expect(left.isEmpty)
      }
    }
  }

  // MARK: Others' objects

  @Test func whatWasMadeByHandUnderOurNameIsAConflictAndStays() async throws {
    try await withBackend { exporter, backend in
      let export = export(try await volume(backend))
      let names = LIONames(prefix: prefix, volume: export.volume)
      let configfs = KernelConfigfs()
      let made = [names.target, names.group, names.admission("iqn.2024-01.org.example:a")]
      for path in made { try configfs.perform(.make(path)) }
      for attempt in [
        { () async throws -> Void in _ = try await exporter.ensure(export) },
        { () async throws -> Void in try await exporter.remove(export, remaining: []) },
      ] {
        let error = await #expect(throws: StorageError.self) { try await attempt() }
        #expect(error?.code == .conflict && error?.message.contains(names.name) == true)
      }
      #expect(try configfs.list("\(names.group)/acls")?.folders == ["iqn.2024-01.org.example:a"])
      for path in made.reversed() { try configfs.perform(.remove(path)) }

      let backstore = names.backstore(.fileio)
      try configfs.perform(.make(LIONames.adapter(.fileio), isShared: true))
      try configfs.perform(.make(backstore))
      try configfs.perform(.write("another", to: "\(backstore)/wwn/vpd_unit_serial"))
      let error = await #expect(throws: StorageError.self) { try await exporter.ensure(export) }
      #expect(error?.code == .conflict && error?.message.contains(backstore) == true)
      try await exporter.remove(export, remaining: [])
      #expect(try configfs.value("\(backstore)/wwn/vpd_unit_serial")?.hasSuffix("another") == true)
      try configfs.perform(.remove(backstore))
      _ = try await exporter.ensure(export)
      try await exporter.remove(export, remaining: [])
    }
  }

  // MARK: The kernel's part

  @Test(.timeLimit(.minutes(2))) func theKernelIsMadeReadyWhenNeeded() async throws {
    try await shell(
      """
      rmdir /sys/kernel/config/target/core/* /sys/kernel/config/target/iscsi 2>/dev/null || true
      umount /sys/kernel/config
      modprobe -r -a target_core_iblock target_core_file target_core_pscsi target_core_user iscsi_target_mod target_core_mod
      test ! -e /sys/module/target_core_mod && ! grep -q configfs /proc/mounts
      """)
    let watched = try makeExporter()
    let nothing = try await watched.exports()
    #expect(nothing.isEmpty)
    try await withBackend(isReady: false) { exporter, backend in
      let export = export(try await volume(backend))
      let session = try await logIn(to: try await exporter.ensure(export))
      await session.logOut()
      try await exporter.remove(export, remaining: [])
    }
    #expect(LIOKernel.isReady && LIOKernel.unloadedModules.isEmpty)
  }

  @Test(.timeLimit(.minutes(1))) func targetsThatSomebodyClearedAreAskedForAgain() async throws {
    try await withBackend { exporter, backend in
      let export = export(try await volume(backend))
      _ = try await exporter.ensure(export)
      let asked = Mutex(0)
      try await withThrowingTaskGroup(of: Void.self) { group in
        let watch = LIOWatch(exporter: exporter, interval: .milliseconds(50), logger: logger) {
          asked.withLock { $0 += 1 }
          // As the restoration does: whoever clears may not have come to its end.
          try? await eventually("the export is ensured") { (try? await exporter.ensure(export)) != nil }
        }
        group.addTask { try await watch.run() }
        try await Task.sleep(for: .milliseconds(300))
        #expect(asked.withLock { $0 } == 0)
        try await clear(prefix)
        try await eventually("the export is back") { try await exporter.exports().count == 1 }
        #expect(asked.withLock { $0 } == 1)
        group.cancelAll()
      }
      try await exporter.remove(export, remaining: [])
    }
  }

  @Test(.timeLimit(.minutes(10))) func fiveHundredExportsCostLittleMoreThanTheirSystemCalls() async throws {
    try await withBackend { exporter, backend in
      var volumes: [StoredVolume] = []
      for _ in 0..<500 { volumes.append(try await volume(backend)) }
      let exports = volumes.map { export($0) }
      let clock = ContinuousClock()
      var (bare, ensured, repeated, removed) = (Duration.zero, Duration.zero, Duration.zero, Duration.zero)
      func add(_ duration: inout Duration, _ work: () async throws -> Void) async throws {
        duration += try await clock.measure(work)
      }
      // By turns, since this machine may have other work, too.
      for part in stride(from: 0, to: exports.count, by: 50).map({ Array(exports[$0..<($0 + 50)]) }) {
        let plan = try part.flatMap { try Self.operations($0, prefix: prefix) }
        try await add(&bare) {
          try await BlockingCalls.run { () throws(StorageError) in
            for operation in plan { try KernelConfigfs().perform(operation) }
          }
        }
        for export in part { try await exporter.remove(export, remaining: []) }
        try await add(&ensured) { for export in part { _ = try await exporter.ensure(export) } }
        try await add(&repeated) { for export in part { _ = try await exporter.ensure(export) } }
        try await add(&removed) { for export in part { try await exporter.remove(export, remaining: []) } }
      }
      for export in exports { _ = try await exporter.ensure(export) }
      let listed = try await clock.measure {
        let found = try await exporter.exports()
        #expect(found.count == exports.count)
      }
      for export in exports { try await exporter.remove(export, remaining: []) }
      print(
        "500 exports: system calls alone \(bare), ensured \(ensured), again \(repeated), removed \(removed), listed \(listed)"
      )
      #expect(ensured < bare * 1.5)
      #expect((ensured - bare) / 500 < .milliseconds(20))
    }
  }
}
