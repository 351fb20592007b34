import Foundation
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

struct NodeRecordTests {
  private let attachment = AttachmentID.random()

  private func target(user: String = "user", secret: String = "secret-of-16-cha") -> ExportedTarget {
    ExportedTarget(
      portals: ["10.0.0.7:3260"], iqn: "iqn.2026-11.test:v", lun: 1, initiator: "iqn.2026-11.test:n1:a", chapUser: user,
      chapSecret: secret)
  }

  private func record(
    _ portal: String = "10.0.0.7:3260", _ target: ExportedTarget? = nil
  ) throws -> NodeRecord {
    try NodeRecord(attachment, target ?? self.target(), at: try ISCSIPortal(portal), recovery: .waits)
  }

  @Test func theRecordSaysWhatTheLoginNeeds() throws {
    let lines = try record().text.split(separator: "\n").map(String.init)
    for line in [
      "node.name = iqn.2026-11.test:v", "node.startup = manual", "node.session.scan = manual",
      "iface.iscsi_ifacename = pumice-\(attachment)", "iface.initiatorname = iqn.2026-11.test:n1:a",
      "node.session.auth.authmethod = CHAP", "node.session.auth.username = user",
      "node.session.auth.password = secret-of-16-cha", "node.conn[0].address = 10.0.0.7", "node.conn[0].port = 3260",
    ] {
      #expect(lines.contains(line))
    }
  }

  @Test func theTargetHasToShowItselfWhereItCan() throws {
    #expect(!(try record().text.contains("name_in")))
    var mutual = target()
    mutual.targetAccount = TargetAccount(user: "target", secret: "another-secret16")
    let lines = try record("10.0.0.7:3260", mutual).text.split(separator: "\n")
    #expect(lines.contains("node.session.auth.username_in = target"))
    #expect(lines.contains("node.session.auth.password_in = another-secret16"))
    #expect(lines.contains("node.session.timeo.replacement_timeout = 86400"))
    mutual.targetAccount?.secret = "a\nb"
    let refusal = #expect(throws: StorageError.self) { _ = try record("a:1", mutual) }
    #expect(refusal?.field == "target.targetAccount.secret")
  }

  @Test func twoPathsOfOneAttachmentAreWrittenAtOnce() async throws {
    try await withThrowingTaskGroup { group in
      let folder = try TemporaryFolder()
      defer { folder.remove() }
      let database = NodeDatabase(root: folder.path)
      for _ in 0..<20 {
        let records = try ["10.0.0.7:3260", "10.0.1.7:3260", "[fd00::7]:3260"].map { try record($0) }
        for record in records { group.addTask { try database.write(record) } }
        try await group.waitForAll()
        #expect(records.allSatisfy { database.holds($0) })
        for record in records { try database.remove(record.entry) }
      }
    }
  }

  @Test func addressesStandWithoutBrackets() throws {
    let record = try record("[fd00::7]:3261")
    #expect(record.text.contains("\nnode.conn[0].address = fd00::7\n"))
    #expect(record.path == "iqn.2026-11.test:v/fd00::7,3261,1/pumice-\(attachment)")
  }

  @Test(arguments: ["", "a b", "a\nnode.startup = automatic", "\u{e4}", String(repeating: "x", count: 256)])
  func whatWouldBreakTheRecordIsRefused(_ word: String) {
    let user = #expect(throws: StorageError.self) { _ = try record("a:1", target(user: word)) }
    #expect(user?.field == "target.chapUser")
    let secret = #expect(throws: StorageError.self) { _ = try record("a:1", target(secret: word)) }
    #expect(secret?.field == "target.chapSecret")
    #expect(word.isEmpty || secret?.message.contains(word) == false)
  }

  @Test func onlyOurOwnInterfacesNameAttachments() {
    #expect(NodeRecord.attachment(ofInterface: "pumice-\(attachment)") == attachment)
    for name in ["default", "pumice-", "pumice-x", "pumice-\(attachment)".uppercased(), "\(attachment)"] {
      #expect(NodeRecord.attachment(ofInterface: name) == nil)
    }
  }

  // MARK: Files

  private func withDatabase(_ body: (NodeDatabase, TemporaryFolder) throws -> Void) throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    try body(NodeDatabase(root: folder.path), folder)
  }

  @Test func aRecordIsWrittenForItsOwnerOnlyAndFoundAgain() throws {
    try withDatabase { database, folder in
      let record = try record()
      #expect(!database.holds(record))
      for _ in 0..<2 { try database.write(record) }
      #expect(database.holds(record))
      #expect(database.entries() == [record.entry])
      #expect(database.initiator(of: record.entry) == "iqn.2026-11.test:n1:a")
      let mode = try FileManager.default.attributesOfItem(atPath: folder.file("nodes/\(record.path)"))[
        .posixPermissions]
      #expect(mode as? Int == 0o600)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["nodes"])
    }
  }

  @Test func anotherSecretTakesThePlaceOfTheOldOne() throws {
    try withDatabase { database, _ in
      let (old, new) = (try record(), try record("10.0.0.7:3260", target(secret: "another-secret16")))
      try database.write(old)
      try database.write(new)
      #expect(database.holds(new) && !database.holds(old))
      #expect(database.entries().count == 1)
    }
  }

  @Test func aRemovedRecordTakesItsEmptyFoldersWithIt() throws {
    try withDatabase { database, folder in
      let (one, other) = (try record(), try record("10.0.0.8:3260"))
      try database.write(one)
      try database.write(other)
      try database.remove(one.entry)
      #expect(database.entries() == [other.entry])
      for _ in 0..<2 { try database.remove(other.entry) }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("nodes")).isEmpty)
    }
  }

  @Test func otherPeoplesRecordsAreNotOurs() throws {
    try withDatabase { database, folder in
      try folder.folder("nodes/iqn.x:y/10.0.0.9,3260,1")
      try folder.write("node.name = iqn.x:y\n", to: "nodes/iqn.x:y/10.0.0.9,3260,1/default")
      try folder.write("node.name = iqn.x:y\n", to: "nodes/iqn.x:y/10.0.0.9,3261")
      #expect(database.entries().isEmpty)
      let record = try NodeRecord(
        attachment,
        ExportedTarget(
          portals: [], iqn: "iqn.x:y", lun: 0, initiator: "iqn.a:b", chapUser: "u", chapSecret: "s"),
        at: try ISCSIPortal("10.0.0.9:3260"), recovery: .waits)
      try database.write(record)
      try database.remove(record.entry)
      #expect(FileManager.default.fileExists(atPath: folder.file("nodes/iqn.x:y/10.0.0.9,3260,1/default")))
    }
  }

  @Test func withoutOpenISCSIItSaysSo() throws {
    let error = #expect(throws: StorageError.self) { try NodeDatabase(root: "/nonexistent/iscsi").write(try record()) }
    #expect(error?.code == .missingPart)
  }

  @Test func aLentInterfaceIsWithdrawn() throws {
    try withDatabase { database, folder in
      try database.lendInterface(of: attachment)
      let text = try String(contentsOfFile: folder.file("ifaces/pumice-\(attachment)"), encoding: .utf8)
      #expect(text.contains("iface.transport_name = tcp\n"))
      for _ in 0..<2 { try database.withdrawInterface(of: attachment) }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("ifaces")).isEmpty)
    }
  }
}
