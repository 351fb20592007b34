import Glibc
import Logging
import PumiceModel
import PumiceWire
import Synchronization
import TestBed
import Testing

@testable import PumiceAgent

/// What `LIOExporter` does around the steps, on a kernel in memory. On a real one: `Tests/LabNode`.
struct LIOExporterTests {
  private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
  private let model = ModelConfigfs()

  private func exporter(
    _ configfs: (any Configfs)? = nil, patience: Duration = .seconds(10)
  ) throws -> LIOExporter {
    try LIOExporter(
      portals: ["127.0.0.1:3260", "[::1]:3260"], configfs: configfs ?? model, patience: patience, logger: logger)
  }

  private func withFile(_ body: (String) async throws -> Void) async throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    try await body(try folder.write(String(repeating: "x", count: 4096), to: "volume"))
  }

  private func export(
    _ path: String, volume: VolumeID = .random(), attachment: AttachmentID = .random(), initiator: String? = nil,
    secret: String = "secret-of-16-cha"
  ) -> Export {
    Export(
      attachment: attachment, volume: volume, revision: 1, backend: "files", pool: "files", path: path,
      initiator: initiator ?? "iqn.2026-11.io.pumice:node-1:\(attachment)", readOnly: false,
      chapUser: "pumice-\(attachment)",
      chapSecret: secret)
  }

  @Test func connectionDataNameEveryPortal() async throws {
    try await withFile { path in
      let export = export(path)
      let target = try await exporter().ensure(export)
      #expect(target.portals == ["127.0.0.1:3260", "[::1]:3260"])
      #expect(target.iqn == "iqn.2026-11.io.pumice:volume-\(export.volume)" && target.lun == 1)
      #expect(target.chapUser == export.chapUser && target.chapSecret == export.chapSecret)
    }
  }

  @Test func attachmentsOfOneInitiatorAreToldApart() async throws {
    try await withFile { path in
      let exporter = try exporter()
      let exports = (0..<3).map { _ in export(path, initiator: "iqn.2026-11.org.example:node") }
      for export in exports { _ = try await exporter.ensure(export) }
      // One that has just started knows no more than configfs does.
      let found = try await self.exporter().exports()
      #expect(
        Set(found)
          == Set(
            exports.map {
              Inventory.Export(attachment: $0.attachment, volume: $0.volume, initiator: "iqn.2026-11.org.example:node")
            }))
    }
  }

  @Test func onlyTheVolumeItselfIsLookedAt() async throws {
    try await withFile { path in
      let exporter = try exporter()
      for _ in 0..<20 { _ = try await exporter.ensure(export(path)) }
      let export = export(path)
      model.forgetHistory()
      _ = try await exporter.ensure(export)
      _ = try await exporter.exports(of: export.volume)
      try await exporter.remove(export, remaining: [])
      let strange = model.reads.filter { !$0.contains("\(export.volume)") && !$0.hasSuffix("hba_info") }
      #expect(strange == [])
      #expect(model.changes.count < 60)
    }
  }

  @Test func targetsOfOthersAreNeitherListedNorTouched() async throws {
    try await withFile { path in
      for path in ["iscsi/iqn.2024-01.org.example:disk", "iscsi/iqn.2026-11.io.pumice:volume-7"] {
        try model.perform(.make(path))
        try model.perform(.make("\(path)/tpgt_1"))
        try model.perform(.make("\(path)/tpgt_1/acls/iqn.2024-01.org.example:a"))
      }
      let before = model.tree.folders
      let export = export(path)
      let exporter = try exporter()
      _ = try await exporter.ensure(export)
      let listed = try await exporter.exports()
      #expect(listed.map(\.attachment) == [export.attachment])
      try await exporter.remove(export, remaining: [])
      #expect(Set(model.tree.folders.keys).subtracting(before.keys) == ["core/fileio_9776"])
    }
  }

  @Test func withoutLIONothingIsOfferedAndNothingIsLeftToRemove() async throws {
    let exporter = try LIOExporter(
      portals: ["127.0.0.1:3260"], configfs: KernelConfigfs(root: "/nonexistent"), logger: logger
    ) { () async throws(StorageError) in throw StorageError(.missingPart, "The kernel has no LIO.") }
    let export = export("/dev/null")
    let listed = try await exporter.exports()
    #expect(listed.isEmpty)
    try await exporter.remove(export, remaining: [])
    let error = await #expect(throws: StorageError.self) { try await exporter.ensure(export) }
    #expect(error?.code == .missingPart)
  }

  @Test(arguments: ["/a,b", "relative", "/a\nb", "/dev/null", ""])
  func pathsThatLIOCanNotBeToldAreRefused(_ path: String) async throws {
    let error = await #expect(throws: StorageError.self) { try await exporter().ensure(export(path)) }
    #expect(error?.code == .invalid && error?.field == "path")
    #expect(model.changes == [.make("iscsi", isShared: true)])
  }

  @Test func aMissingFileIsNotFoundAndNotMade() async throws {
    let error = await #expect(throws: StorageError.self) { try await exporter().ensure(export("/nonexistent/volume")) }
    #expect(error?.code == .notFound)
  }

  @Test(arguments: ["NULL-and-more", "", "with space", "line\n"])
  func secretsThatLIOWouldTakeForAnotherAreRefused(_ secret: String) async throws {
    let error = await #expect(throws: StorageError.self) {
      try await exporter().ensure(export("/volume", secret: secret))
    }
    #expect(error?.code == .invalid && error?.field == "chapSecret")
  }

  @Test(arguments: ["0b05e989", "0Babc", "0x12", "0X"])
  func usersThatLIOWouldTakeForNumbersAreRefused(_ user: String) async throws {
    let attachment = AttachmentID.random()
    let export = Export(
      attachment: attachment, volume: .random(), revision: 1, backend: "files", pool: "files", path: "/volume",
      initiator: "iqn.2026-11.org.example:a", readOnly: false, chapUser: user, chapSecret: "secret-of-16-cha")
    let error = await #expect(throws: StorageError.self) { try await exporter().ensure(export) }
    #expect(error?.code == .invalid && error?.field == "chapUser")
  }

  @Test(arguments: ["storage-1:3260", "0.0.0.0:3260", "10.0.0.1"]) func portalsMustBeAddresses(_ portal: String) {
    let error = #expect(throws: StorageError.self) {
      try LIOExporter(portals: [portal], configfs: model, logger: logger)
    }
    #expect(error?.code == .invalid && error?.field == "portals")
  }

  @Test func noErrorTellsASecret() async throws {
    try await withFile { path in
      let export = export(path, secret: "do-not-tell-this")
      let exporter = try exporter()
      for count in 0..<60 {
        model.stop(after: count)
        do throws(StorageError) {
          _ = try await exporter.ensure(export)
          break
        } catch {
          #expect(!"\(error)\(error.message)".contains("do-not-tell-this"))
        }
      }
      #expect(model.changes.contains { "\($0)".hasSuffix("auth/password") })
      #expect(!model.changes.contains { "\($0)".contains("do-not-tell-this") })
    }
  }

  @Test func whatSomebodyClearedIsMissed() async throws {
    try await withFile { path in
      let exporter = try exporter()
      let exports = [export(path), export(path)]
      for export in exports { _ = try await exporter.ensure(export) }
      var lost = try await exporter.lost()
      #expect(lost.isEmpty)
      try await self.exporter().remove(exports[0], remaining: [])
      lost = try await exporter.lost()
      #expect(lost == [exports[0].volume])
      try await exporter.remove(exports[0], remaining: [])
      lost = try await exporter.lost()
      #expect(lost.isEmpty)
    }
  }

  // MARK: A disk that does not answer

  @Test func aHangingKernelIsATimeoutForItsVolumeAlone() async throws {
    try await withFile { path in
      let hanging = HangingConfigfs(model)
      let exporter = try exporter(hanging, patience: .seconds(2))
      let (stuck, other) = (export(path), export(path))
      _ = try await exporter.ensure(stuck)
      _ = try await exporter.ensure(other)

      hanging.hang(at: "acls/\(stuck.initiator)")
      let first = await #expect(throws: StorageError.self) { try await exporter.remove(stuck, remaining: []) }
      #expect(first?.code == .timeout && first?.isTransient == true)
      try await eventually("the first call hangs") { hanging.held == 1 }
      for _ in 0..<20 {
        let again = await #expect(throws: StorageError.self) { try await exporter.remove(stuck, remaining: []) }
        #expect(again?.code == .timeout)
      }
      #expect(hanging.held == 1, "no second thread goes where the first one hangs")

      // The initiator is refused already, but its session is not over: it counts as offered.
      #expect(model.tree.logins.map(\.secret) == [other.chapSecret])
      let listed = try await exporter.exports()
      #expect(Set(listed.map(\.attachment)) == [stuck.attachment, other.attachment])
      try await exporter.remove(other, remaining: [])

      hanging.letGo()
      try await eventually("the hanging call ends") { hanging.held == 0 }
      try await exporter.remove(stuck, remaining: [])
      let left = try await exporter.exports()
      #expect(left.isEmpty)
    }
  }
}

/// A kernel that does not come back from removing a certain folder.
private final class HangingConfigfs: Configfs {
  private struct State {
    var place: String?
    var held = 0
  }

  private let model: ModelConfigfs
  private let state = Mutex(State())

  init(_ model: ModelConfigfs) { self.model = model }

  var held: Int { state.withLock(\.held) }
  func hang(at place: String) { state.withLock { $0.place = place } }
  func letGo() { state.withLock { $0.place = nil } }

  func list(_ folder: String) throws(StorageError) -> ConfigfsListing? { try model.list(folder) }
  func value(_ file: String) throws(StorageError) -> String? { try model.value(file) }

  func perform(_ operation: ConfigfsOperation) throws(StorageError) {
    if case .remove(let path) = operation, state.withLock({ $0.place.map(path.hasSuffix) ?? false }) {
      state.withLock { $0.held += 1 }
      while state.withLock({ $0.place != nil }) { usleep(5_000) }
      state.withLock { $0.held -= 1 }
    }
    try model.perform(operation)
  }
}
