import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct MetadataEditsTests {
  private let metadata = ["a": "1", "b": "2"]

  @Test func entriesAreMergedReplacedAndRemoved() throws {
    #expect(
      try MetadataChange.merge(["a": "3", "c": "4"]).applied(to: metadata, of: "x") == ["a": "3", "b": "2", "c": "4"])
    #expect(try MetadataChange.replace(["c": "4"]).applied(to: metadata, of: "x") == ["c": "4"])
    #expect(try MetadataChange.remove("a").applied(to: metadata, of: "x") == ["b": "2"])
  }

  @Test func anUnknownKeyIsNotFound() {
    let error = #expect(throws: StorageError.self) {
      try MetadataChange.remove("z").applied(to: metadata, of: "Snapshot db")
    }
    #expect(error?.code == .notFound)
    #expect(error?.message.contains("Snapshot db") == true && error?.message.contains("'z'") == true)
  }

  @Test func thereAreAtMost128Entries() {
    let many = Dictionary(uniqueKeysWithValues: (0..<127).map { ("\($0)", "") })
    #expect(throws: StorageError.self) { try MetadataChange.merge(many).applied(to: metadata, of: "x") }
    #expect(throws: Never.self) { try MetadataChange.replace(many).applied(to: metadata, of: "x") }
  }

  @Test func volumesAndSnapshotsKeepWhatWasNoted() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let snapshot = try fixture.snapshot(of: volume)
    _ = try fixture.tables.changeMetadata(of: volume.id, of: "demo", .merge(["a": "1"]), at: .start)
    _ = try fixture.tables.changeMetadata(of: snapshot.id, of: "demo", .merge(["b": "2"]), at: .start)
    #expect(try fixture.row(volume).metadata == ["a": "1"])
    #expect(try fixture.row(snapshot).metadata == ["b": "2"])
    let error = #expect(throws: StorageError.self) {
      try fixture.tables.changeMetadata(of: snapshot.id, of: "other", .replace([:]), at: .start)
    }
    #expect(error?.code == .notFound)
  }
}
