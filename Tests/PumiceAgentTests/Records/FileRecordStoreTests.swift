import Foundation
import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

@Suite struct FileRecordStoreTests {
  private let folder = FileManager.default.temporaryDirectory.path + "/pumice-records-\(UUID().uuidString)"

  private func withStore(_ body: (FileRecordStore<ExportRecord>) async throws -> Void) async throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try await body(try await open())
  }

  private func open() async throws -> FileRecordStore<ExportRecord> {
    try await FileRecordStore<ExportRecord>.open(folder, logger: .silent)
  }

  private func record(_ attachment: AttachmentID = .random(), secret: String = "0123456789abcdef") -> ExportRecord {
    ExportRecord(
      Export(
        attachment: attachment, volume: .random(), revision: 1, backend: "b", pool: "p", path: "/x", initiator: "i",
        readOnly: false, chapUser: "u", chapSecret: secret))
  }

  private func mode(_ path: String) throws -> Int {
    try #require(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
  }

  @Test func recordsSurviveAReopening() async throws {
    try await withStore { store in
      var record = record()
      try await store.put(record)
      record.isLeaving = true
      try await store.put(record)
      let reopened = try await open()
      #expect(reopened.all == [record])
      #expect(reopened.record(of: record.attachment) == record)
    }
  }

  @Test func removedRecordsStayRemoved() async throws {
    try await withStore { store in
      let record = record()
      try await store.put(record)
      for _ in 1...2 { try await store.remove(record.attachment) }
      #expect(store.all.isEmpty)
      #expect(try await open().all.isEmpty)
    }
  }

  @Test func onlyTheOwnerCanReadThem() async throws {
    try await withStore { store in
      let record = record()
      try await store.put(record)
      #expect(try mode(folder) == 0o700)
      #expect(try mode("\(folder)/\(record.attachment).json") == 0o600)
    }
  }

  @Test func aFolderOpenToOthersIsRefused() async throws {
    try await withStore { _ in
      try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder)
      let error = await #expect(throws: StorageError.self) { _ = try await open() }
      #expect(error?.code == .forbidden)
    }
  }

  @Test func aLinkIsRefused() async throws {
    try await withStore { _ in
      let link = folder + "-link"
      try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: folder)
      defer { try? FileManager.default.removeItem(atPath: link) }
      let error = await #expect(throws: StorageError.self) {
        _ = try await FileRecordStore<ExportRecord>.open(link, logger: .silent)
      }
      #expect(error?.code == .forbidden)
    }
  }

  /// What a crash in the middle of a write leaves.
  @Test func anUnfinishedFileIsSweptAwayAndTheOldRecordHolds() async throws {
    try await withStore { store in
      let record = record()
      try await store.put(record)
      let torn = "\(folder)/\(record.attachment).json.new"
      try Data(#"{"export": {"att"#.utf8).write(to: URL(fileURLWithPath: torn))
      #expect(try await open().all == [record])
      #expect(!FileManager.default.fileExists(atPath: torn))
    }
  }

  @Test func aDamagedFileIsSetAsideAndSaidWithoutItsContent() async throws {
    try await withStore { store in
      let good = record()
      try await store.put(good)
      let name = "\(AttachmentID.random()).json"
      try Data(#"{"chapSecret": "open-sesame-0123", "export": "#.utf8).write(
        to: URL(fileURLWithPath: "\(folder)/\(name)"))
      let lines = RecordingLogHandler.Lines()
      let reopened = try await FileRecordStore<ExportRecord>.open(folder, logger: RecordingLogHandler.logger(lines))
      #expect(reopened.all == [good])
      #expect(FileManager.default.fileExists(atPath: "\(folder)/\(name).damaged"))
      #expect(lines.all.count == 1)
      #expect(lines.all[0].contains(name))
      #expect(!lines.all[0].contains("sesame"))
    }
  }

  @Test func aRecordUnderAnotherNameIsNotBelieved() async throws {
    try await withStore { store in
      let record = record()
      try await store.put(record)
      let path = "\(folder)/\(record.attachment).json"
      try FileManager.default.moveItem(atPath: path, toPath: "\(folder)/\(AttachmentID.random()).json")
      #expect(try await open().all.isEmpty)
    }
  }

  @Test func descriptionsHaveNoSecret() {
    let record = record(secret: "open-sesame-0123")
    let target = ExportedTarget(
      portals: ["p:1"], iqn: "q", lun: 1, initiator: "i", chapUser: "u", chapSecret: "open-sesame-0123")
    let request = ConnectionRequest(
      revision: 1, volume: .random(), instance: .random(), size: .gibibytes(1), target: target)
    let source = DiskSource.iscsi(
      portal: "p:1", iqn: "q", lun: 1, initiator: "i", chapUser: "u", chapSecret: "open-sesame-0123")
    let disk = Disk(attachment: .random(), volume: .random(), source: source, device: nil, readOnly: false)
    let things: [Any] = [record, record.export, target, request, ConnectionRecord(.random(), request), source, disk]
    for thing in things {
      #expect(!"\(thing)".contains("sesame"), "\(type(of: thing))")
      #expect(!String(reflecting: thing).contains("sesame"), "\(type(of: thing))")
    }
  }
}
