import Foundation
import Glibc
import PumiceModel
import Synchronization
import TestBed
import Testing

@testable import PumiceAgent

/// The boundary to LVM, over a program that answers as told.
struct LVMTests {
  /// Answers every command, and keeps what was asked.
  final class Program: Sendable {
    struct State {
      var calls: [[String]] = []
      var report: String
      /// Before each answer; an answer other than success.
      var answer: @Sendable ([String], Int) async throws(StorageError) -> CommandRunner.Outcome? = {
        _, _ throws(StorageError) in nil
      }
    }

    let state: Mutex<State>

    init(report: String) { state = Mutex(State(report: report)) }

    var calls: [[String]] { state.withLock(\.calls) }
    var verbs: [String] { calls.compactMap(\.first) }

    func answer(
      _ answer: @escaping @Sendable ([String], Int) async throws(StorageError) -> CommandRunner.Outcome?
    ) { state.withLock { $0.answer = answer } }

    @Sendable func run(_ arguments: [String], _ deadline: Duration) async throws(StorageError) -> CommandRunner.Outcome
    {
      let (answer, count) = state.withLock { state in
        state.calls.append(arguments)
        return (state.answer, state.calls.count(where: { $0.first == arguments.first }))
      }
      if let outcome = try await answer(arguments, count) { return outcome }
      let output = arguments[0] == "fullreport" ? state.withLock(\.report) : ""
      return CommandRunner.Outcome(exitCode: 0, standardOutput: output, standardError: "")
    }
  }

  /// A file that looks like a physical volume to whoever reads only its headers.
  struct Disk: Sendable {
    let path: String

    init(in folder: TemporaryFolder, text: String = "vg0 {\n}\n") throws {
      path = folder.file("disk")
      var bytes = [UInt8](repeating: 0, count: 64 << 10)
      func put(_ text: String, at offset: Int) {
        bytes.replaceSubrange(offset..<offset + text.utf8.count, with: text.utf8)
      }
      put("LABELONE", at: 512)
      bytes[512 + 20] = 32
      put("LVM2 001", at: 512 + 24)
      put(String(repeating: "u", count: 32), at: 512 + 32)
      // A data area at 1 MiB, then the metadata area at 4 KiB.
      bytes[512 + 72 + 2] = 16
      bytes[512 + 104 + 1] = 16
      put(" LVM2 x[5A%r0N*>", at: 4096 + 4)
      // A ring of 32 KiB with the header, and the text in it.
      bytes[4096 + 33] = 128
      bytes[4096 + 41] = 2
      let length = text.utf8.count
      (bytes[4096 + 48], bytes[4096 + 49]) = (UInt8(length & 255), UInt8(length >> 8))
      put(text, at: 4096 + 512)
      try Data(bytes).write(to: URL(filePath: path))
    }

    /// As a commit by anybody.
    func commit() throws {
      let handle = try FileHandle(forUpdating: URL(filePath: path))
      // The text's checksum.
      try handle.seek(toOffset: 4096 + 56)
      let value = try handle.read(upToCount: 1)?.first ?? 0
      try handle.seek(toOffset: 4096 + 56)
      try handle.write(contentsOf: Data([value &+ 1]))
      try handle.synchronize()
      try handle.close()
    }
  }

  private func with(
    _ patience: LVM.Patience = LVM.Patience(), room: Duration = .seconds(12),
    _ body: (LVM, Program, Disk, TemporaryFolder) async throws -> Void
  ) async throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    var patience = patience
    // What others do is to be noticed at once.
    patience.look = .zero
    let disk = try Disk(in: folder)
    let fixture = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/fullreport.json")
    let report = try String(contentsOf: fixture, encoding: .utf8).replacing("/dev/vda", with: disk.path)
    let program = Program(report: report)
    let lvm = LVM(
      group: "vg0", patience: patience, lockFolder: folder.path, admission: ChangeAdmission(room: room), logger: .silent
    ) {
      arguments, deadline throws(StorageError) in try await program.run(arguments, deadline)
    }
    try await body(lvm, program, disk, folder)
  }

  /// What changes make of the group is not read between them.
  private static let withoutReports: LVM.Patience = {
    var patience = LVM.Patience()
    patience.betweenReports = .seconds(60)
    return patience
  }()

  private let thin = LVMCommand.createThin(name: "volume-1", pool: "pool0", size: .mebibytes(8), tags: ["pumice"])

  @Test func theGroupIsReadOnceAndByWhoeverAsksFirst() async throws {
    try await with { lvm, program, _, _ in
      let duration = try await ContinuousClock().measure {
        try await withThrowingTaskGroup(of: Void.self) { group in
          for _ in 0..<50 { group.addTask { _ = try await lvm.group(.known) } }
          try await group.waitForAll()
        }
      }
      // What was read is known for half a minute.
      #expect(program.verbs.count <= 1 + Int(duration / .seconds(30)))
    }
  }

  @Test func aChangeTakesOneProcessAndIsKnownAfterwards() async throws {
    try await with { lvm, program, disk, _ in
      _ = try await lvm.group(.known)
      program.answer { arguments, _ throws(StorageError) in
        if arguments[0] != "fullreport" { try? disk.commit() }
        return nil
      }
      for number in 1...5 {
        let name = "volume-\(number)"
        try await lvm.run(.createThin(name: name, pool: "pool0", size: .mebibytes(5), tags: ["pumice"]))
        let made = try await lvm.group(.known)[name]
        #expect(made?.size == .mebibytes(8) && made?.isOurs == true)
      }
      #expect(program.verbs == ["fullreport"] + Array(repeating: "lvcreate", count: 5))
    }
  }

  @Test func changesByOthersAreNoticed() async throws {
    try await with { lvm, program, disk, _ in
      _ = try await lvm.group(.known)
      _ = try await lvm.group(.known)
      #expect(program.verbs.count == 1)
      try disk.commit()
      _ = try await lvm.group(.known)
      _ = try await lvm.group(.known)
      #expect(program.verbs.count == 2)

      // Also when one of ours follows: what it makes of the group is then not known.
      try disk.commit()
      program.answer { arguments, _ throws(StorageError) in
        if arguments[0] == "lvcreate" { try? disk.commit() }
        return nil
      }
      try await lvm.run(thin)
      let group = try await lvm.group(.known)
      #expect(program.verbs == ["fullreport", "fullreport", "lvcreate", "fullreport"])
      #expect(group["volume-1"] == nil, "the report says so")
    }
  }

  @Test func whatCannotBeForetoldIsRead() async throws {
    try await with { lvm, program, disk, _ in
      _ = try await lvm.group(.known)
      program.answer { arguments, _ throws(StorageError) in
        if arguments[0] == "lvconvert" { try? disk.commit() }
        return nil
      }
      try await lvm.run(.merge(snapshot: "s1"))
      _ = try await lvm.group(.known)
      #expect(program.verbs == ["fullreport", "lvconvert", "fullreport"])
    }
  }

  @Test func onlyTheGroupsOwnDevicesAreOpened() async throws {
    try await with { lvm, program, disk, _ in
      _ = try await lvm.group(.known)
      try await lvm.run(thin)
      let settings = program.calls.compactMap { call in
        call.firstIndex(of: "--config").map { call[call.index(after: $0)] }
      }
      #expect(settings.count == 2)
      #expect(!settings[0].contains("filter="), "where they are is not known at first")
      #expect(settings[1].contains("filter=[\"a|^\(disk.path.replacing(".", with: "."))$|\", \"r|.*|\"]"))
    }
  }

  @Test func aGroupThatIsGoneFromItsDevicesIsLookedForEverywhere() async throws {
    try await with { lvm, program, disk, _ in
      _ = try await lvm.group(.known)
      try disk.commit()
      program.answer { arguments, _ throws(StorageError) in
        guard arguments[0] == "fullreport", arguments[2].contains("filter=") else { return nil }
        return CommandRunner.Outcome(exitCode: 5, standardOutput: "", standardError: "  Volume group \"vg0\" not found")
      }
      _ = try await lvm.group(.known)
      #expect(program.verbs == ["fullreport", "fullreport", "fullreport"])
    }
  }

  @Test(arguments: [Int32?.none, 139])
  func readsAndRepeatableChangesAreRunAgainWhenLVMDies(_ exitCode: Int32?) async throws {
    try await with { lvm, program, _, _ in
      program.answer { arguments, count throws(StorageError) in
        guard count < 3, ["fullreport", "lvchange"].contains(arguments[0]) else { return nil }
        return CommandRunner.Outcome(exitCode: exitCode, standardOutput: "", standardError: "")
      }
      _ = try await lvm.group(.known)
      #expect(program.verbs == ["fullreport", "fullreport", "fullreport"])
    }
  }

  @Test func aCreationIsNotRunAgainWhenLVMDies() async throws {
    try await with { lvm, program, _, _ in
      _ = try await lvm.group(.known)
      program.answer { arguments, _ throws(StorageError) in
        arguments[0] == "lvcreate" ? CommandRunner.Outcome(exitCode: nil, standardOutput: "", standardError: "") : nil
      }
      let error = await #expect(throws: StorageError.self) { try await lvm.run(thin) }
      #expect(error?.code == .unavailable)
      #expect(program.verbs.count(where: { $0 == "lvcreate" }) == 1)
      // Whether it was made is not known, so it is looked for; and what may hang is looked for before the next change.
      program.answer { _, _ throws(StorageError) in nil }
      try await lvm.run(thin)
      #expect(program.verbs.suffix(3) == ["fullreport", "dmsetup", "lvcreate"])
    }
  }

  @Test func devicesLeftSuspendedAreResumedIfTheyAreOurs() async throws {
    try await with { lvm, program, _, _ in
      var report = program.state.withLock(\.report)
      report = report.replacing(
        #""pool_lv":"pool0", "pool_lv_uuid":"#, with: #""lv_tags":"pumice", "pool_lv":"pool0", "x":"#)
      program.state.withLock {
        $0.report = report.replacing(
          #""lv_tags":"", "lv_profile":"", "lv_lockargs":"", "lv_time":"2026-11-20 23:54:2"#,
          with: #""lv_time":"2026-11-20 23:54:2"#)
      }
      let group = try VolumeGroup(report: program.state.withLock(\.report), of: "vg0")
      let ours = try #require(group["thin1"])
      try #require(ours.isOurs)
      let prefix = "LVM-\(group.uuid.filter { $0 != "-" })"
      let uuids = (ours.uuid.filter { $0 != "-" }, group["thick1"]!.uuid.filter { $0 != "-" })
      let lines = ["vg0-thin1|\(prefix)\(uuids.0)|Suspended", "vg0-thick1|\(prefix)\(uuids.1)|Suspended"]
      program.answer { arguments, _ throws(StorageError) in
        guard arguments.prefix(2) == ["dmsetup", "info"] else { return nil }
        return CommandRunner.Outcome(exitCode: 0, standardOutput: lines.joined(separator: "\n"), standardError: "")
      }
      let error = await #expect(throws: StorageError.self) { try await lvm.resumeSuspended() }
      #expect(error?.message.contains("dmsetup resume vg0-thick1") == true)
      #expect(program.calls.filter { $0.prefix(2) == ["dmsetup", "resume"] } == [["dmsetup", "resume", "vg0-thin1"]])
    }
  }

  @Test func aGroupThatIsLockedByOthersIsWaitedForAndThenUnavailable() async throws {
    var patience = LVM.Patience()
    patience.lock = .milliseconds(200)
    try await with(patience) { lvm, program, _, folder in
      let path = folder.file("V_vg0")
      let file = open(path, O_CREAT | O_RDWR, 0o600)
      try #require(file >= 0 && flock(file, LOCK_EX) == 0)
      let error = await #expect(throws: StorageError.self) { try await lvm.group(.known) }
      #expect(error?.code == .unavailable)
      #expect(error?.message.contains("locked by process \(getpid())") == true, "\(error?.message ?? "")")
      #expect(program.calls.isEmpty, "no process was started to wait")

      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { _ = try await lvm.group(.known) }
        try await Task.sleep(for: .milliseconds(50))
        close(file)
        try await group.waitForAll()
      }
      // Reports don't stand in each other's way.
      let reader = open(path, O_RDWR)
      defer { close(reader) }
      try #require(reader >= 0 && flock(reader, LOCK_SH) == 0)
      try await lvm.run(thin)
    }
  }

  @Test func aCommandThatDoesNotEndIsATimeout() async throws {
    try await with { lvm, program, _, _ in
      program.answer { _, _ throws(StorageError) in throw StorageError(.timeout, "lvm did not end.") }
      let error = await #expect(throws: StorageError.self) { try await lvm.group(.known) }
      #expect(error?.code == .timeout)
      #expect(error?.message.contains("Reading volume group vg0 failed") == true)
    }
  }

  @Test func activationsThatWaitTogetherTakeOneProcess() async throws {
    try await with(Self.withoutReports) { lvm, program, _, _ in
      _ = try await lvm.group(.known)
      program.answer { arguments, _ throws(StorageError) in
        do { try await Task.sleep(for: .milliseconds(arguments[0] == "lvcreate" ? 1000 : 50)) } catch {}
        return nil
      }
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await lvm.run(thin) }
        try await Task.sleep(for: .milliseconds(200))
        for number in 0..<40 { group.addTask { try await lvm.run(.activate(name: "a\(number)")) } }
        try await group.waitForAll()
      }
      let calls = program.calls.filter { $0.first == "lvchange" }
      #expect(calls.count == 2, "no more than 32 go together")
      let paths = calls.flatMap { call in call.filter { $0.hasPrefix("vg0/") } }
      #expect(Set(paths) == Set((0..<40).map { "vg0/a\($0)" }))
      #expect(paths.count == 40)
    }
  }

  @Test func ofChangesMadeTogetherOnlyThoseFailThatCannotBeMade() async throws {
    try await with(Self.withoutReports) { lvm, program, disk, _ in
      _ = try await lvm.group(.known)
      let report = program.state.withLock(\.report)
      program.answer { arguments, _ throws(StorageError) in
        do { try await Task.sleep(for: .milliseconds(arguments[0] == "lvcreate" ? 1000 : 50)) } catch {}
        guard arguments[0] == "lvremove" else { return nil }
        // Others are removed all the same, as LVM does.
        try? disk.commit()
        let isGone = arguments.contains("vg0/thin1")
        if isGone {
          program.state.withLock { $0.report = report.replacing(#""lv_name":"thin1""#, with: #""lv_name":"x""#) }
        }
        guard arguments.contains("vg0/thick1") else { return nil }
        return CommandRunner.Outcome(
          exitCode: 5, standardOutput: "", standardError: "  Logical volume vg0/thick1 contains a filesystem in use.")
      }
      let failed = await withTaskGroup(of: String?.self) { group in
        group.addTask {
          try? await lvm.run(thin)
          return nil
        }
        try? await Task.sleep(for: .milliseconds(200))
        for name in ["thin1", "thick1"] {
          group.addTask {
            do {
              try await lvm.run(.remove(name: name))
              return nil
            } catch { return name }
          }
        }
        return await group.reduce(into: [String]()) { names, name in if let name { names.append(name) } }
      }
      #expect(failed == ["thick1"])
      #expect(program.verbs.count(where: { $0 == "lvremove" }) == 2, "the one that was gone is not removed again")
    }
  }

  @Test func inAStreamOfChangesTheGroupIsReadBetweenThem() async throws {
    var patience = LVM.Patience()
    patience.betweenReports = .zero
    try await with(patience) { lvm, program, disk, _ in
      _ = try await lvm.group(.known)
      let inside = Mutex(0)
      program.answer { arguments, _ throws(StorageError) in
        inside.withLock { $0 += 1 }
        #expect(inside.withLock { $0 } == 1, "a report beside a change")
        do { try await Task.sleep(for: .milliseconds(20)) } catch {}
        if arguments[0] == "lvcreate" { try? disk.commit() }
        inside.withLock { $0 -= 1 }
        return nil
      }
      // Somebody else changes it: what the first change leaves is not known.
      try disk.commit()
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 0..<5 {
          group.addTask {
            try await lvm.run(
              .createThin(name: "volume-\(number)", pool: "pool0", size: .mebibytes(5), tags: ["pumice"]))
          }
        }
        try await group.waitForAll()
      }
      #expect(program.verbs == ["fullreport", "lvcreate", "fullreport"] + Array(repeating: "lvcreate", count: 4))
      _ = try await lvm.group(.known)
      #expect(program.verbs.count(where: { $0 == "fullreport" }) == 2)
    }
  }

  @Test func whoWouldWaitTooLongIsToldToAskAgain() async throws {
    var patience = LVM.Patience()
    patience.room = .milliseconds(50)
    try await with(patience, room: .milliseconds(700)) { lvm, program, _, _ in
      _ = try await lvm.group(.known)
      program.answer { _, _ throws(StorageError) in
        do { try await Task.sleep(for: .milliseconds(1500)) } catch {}
        return nil
      }
      let made = try await withThrowingTaskGroup(of: Bool.self) { group in
        for number in 0..<6 {
          group.addTask {
            try await lvm.whenThereIsRoom { () async throws(StorageError) in
              try await lvm.run(.retag(name: "a\(number)", add: ["pumice"], delete: []))
              return true
            } ?? false
          }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(made.count(where: \.self) == 2)
      // Now it is known how long a change takes here.
      #expect(try await lvm.whenThereIsRoom { () async throws(StorageError) in true } == true)
    }
  }

  @Test func changesComeOneAtATimeAndBatchesInOnePiece() async throws {
    try await with(Self.withoutReports) { lvm, program, _, _ in
      _ = try await lvm.group(.known)
      program.answer { arguments, _ throws(StorageError) in
        do { try await Task.sleep(for: .milliseconds(1)) } catch {}
        return nil
      }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 0..<10 {
          group.addTask {
            try await lvm.run(.rename("a\(number)", to: "b\(number)"), .remove(name: "b\(number)"))
          }
        }
        try await group.waitForAll()
      }
      let changes = program.verbs.filter { $0 != "fullreport" }
      #expect(changes == Array(repeating: ["lvrename", "lvremove"], count: 10).flatMap(\.self))
    }
  }
}

struct MetadataFingerprintTests {
  @Test func whatIsNoPhysicalVolumeHasNone() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    for (name, content) in [
      ("empty", Data()), ("zeros", Data(count: 8192)),
      ("label", Data(count: 512) + Data("LABELONE".utf8) + Data(count: 8192)),
    ] {
      let path = folder.file(name)
      try content.write(to: URL(filePath: path))
      let error = #expect(throws: StorageError.self) { try MetadataFingerprint(ofPhysicalVolume: path) }
      #expect(error?.code == .failed, "\(name)")
    }
    #expect(throws: StorageError.self) { try MetadataFingerprint(ofPhysicalVolume: folder.file("missing")) }
  }

  @Test func theTextIsReadWhereverItLiesInTheRing() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let text = (0..<300).map { "line \($0)\n" }.joined()
    let disk = try LVMTests.Disk(in: folder, text: text)
    #expect(try MetadataFingerprint.text(ofPhysicalVolume: disk.path) == text)

    // Its first 100 bytes at the end of the ring, the rest behind the header.
    let handle = try FileHandle(forUpdating: URL(filePath: disk.path))
    let bytes = Data(text.utf8)
    for (offset, part) in [(4096 + 32768 - 100, bytes.prefix(100)), (4096 + 512, bytes.dropFirst(100))] {
      try handle.seek(toOffset: UInt64(offset))
      try handle.write(contentsOf: part)
    }
    let start = 32768 - 100
    try handle.seek(toOffset: 4096 + 40)
    try handle.write(contentsOf: Data([UInt8(start & 255), UInt8(start >> 8)]))
    try handle.close()
    #expect(try MetadataFingerprint.text(ofPhysicalVolume: disk.path) == text)

    // A header that can't be: more text than there is room for.
    let damaged = try FileHandle(forUpdating: URL(filePath: disk.path))
    try damaged.seek(toOffset: 4096 + 50)
    try damaged.write(contentsOf: Data([1]))
    try damaged.close()
    #expect(throws: StorageError.self) { try MetadataFingerprint.text(ofPhysicalVolume: disk.path) }
  }

  @Test func itChangesWithEachCommitOnly() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let disk = try LVMTests.Disk(in: folder)
    let first = try MetadataFingerprint(ofPhysicalVolume: disk.path)
    let second = try MetadataFingerprint(ofPhysicalVolume: disk.path)
    #expect(first == second)
    try disk.commit()
    let third = try MetadataFingerprint(ofPhysicalVolume: disk.path)
    #expect(first != third)
  }
}
