public import PumiceAgent
import PumiceModel
import PumiceWire
import Testing

/// Holds an exporter to what `TargetExporter` promises, with logins from outside. Nothing must be exported before, and
/// nothing is afterwards.
public struct ExporterConformance: Sendable {
  /// What only the driver's own back door can do.
  public struct Hooks: Sendable {
    /// The target software dies and comes back, empty; or `nil` where nothing like that can happen.
    public var restartTarget: (@Sendable () async throws -> Void)?
    /// Leaves the target of this volume as a crash in the middle of `ensure` would, in several ways, one per call.
    public var plantHalfMade: [@Sendable (Export) async throws -> Void]
    /// Everything that the target software has and the exporter has not made, as text.
    public var foreign: @Sendable () async throws -> String

    public init(
      restartTarget: (@Sendable () async throws -> Void)?,
      plantHalfMade: [@Sendable (Export) async throws -> Void] = [],
      foreign: @escaping @Sendable () async throws -> String
    ) {
      self.restartTarget = restartTarget
      self.plantHalfMade = plantHalfMade
      self.foreign = foreign
    }
  }

  let exporter: any TargetExporter
  let initiator: any TestInitiator
  let backend: any VolumeBackend
  let pool: String
  let hooks: Hooks

  public init(
    _ exporter: any TargetExporter, initiator: any TestInitiator, backend: any VolumeBackend, pool: String, hooks: Hooks
  ) {
    self.exporter = exporter
    self.initiator = initiator
    self.backend = backend
    self.pool = pool
    self.hooks = hooks
  }

  public func check() async throws {
    let foreign = try await hooks.foreign()
    try await admitsOneInitiatorWithItsSecret()
    try await fencesAndLeavesOthersAlone()
    try await givesASecretAnew()
    try await showsGrowthToSessionsThatStayUp()
    try await exportsManyVolumesAtOnce()
    try await refusesWhatIsNotThere()
    try await repairsWhatIsHalfMade()
    try await restoresAfterTheTargetWasLost()
    let left = try await exporter.exports()
    #expect(left.isEmpty, "the suite left exports behind")
    let foreignAfterwards = try await hooks.foreign()
    #expect(foreignAfterwards == foreign, "somebody else's targets were touched")
  }

  private func admitsOneInitiatorWithItsSecret() async throws {
    try await withVolume { volume in
      let export = export(volume)
      let target = try await exporter.ensure(export)
      #expect(target.protocolName == exporter.protocolName)
      #expect(target.initiator == export.initiator)
      #expect(target.chapUser == export.chapUser && target.chapSecret == export.chapSecret)
      #expect(!target.description.contains(export.chapSecret))

      let session = try await initiator.logIn(to: target)
      let disk = try await session.disk()
      #expect(disk == TestDisk(volume: volume.id, size: volume.size))

      let repeated = try await exporter.ensure(export)
      let isUp = await session.isUp()
      let listed = try await exporter.exports()
      #expect(repeated == target)
      #expect(isUp, "a repeated ensure must leave sessions up")
      #expect(listed == [entry(export)])
      let ofVolume = try await exporter.exports(of: volume.id)
      let ofAnother = try await exporter.exports(of: .random())
      #expect(ofVolume == listed && ofAnother.isEmpty)
      await session.logOut()

      let stranger = "iqn.2026-11.org.example:stranger"
      for (name, user, secret) in [
        (export.initiator, export.chapUser, "notthesecret12"), (export.initiator, "nobody", export.chapSecret),
        (export.initiator, nil, nil), (stranger, export.chapUser, export.chapSecret), (stranger, nil, nil),
      ] as [(String, String?, String?)] {
        // A target may deny that it exists to those whom it does not admit.
        await expect(.forbidden, name == stranger ? .notFound : .forbidden) { () throws(StorageError) in
          _ = try await initiator.logIn(to: target, as: name, user: user, secret: secret)
        }
      }
      try await exporter.remove(export, remaining: [])
    }
  }

  private func fencesAndLeavesOthersAlone() async throws {
    try await withVolume { volume in
      let exports = (0..<4).map { _ in export(volume) }
      try await exporter.remove(exports[0], remaining: [])
      var sessions: [any TestSession] = []
      for export in exports { sessions.append(try await initiator.logIn(to: try await exporter.ensure(export))) }
      let target = try await exporter.ensure(exports[0])

      // In an order that takes them from the middle, the front and the end.
      var remaining = exports
      for (gone, position) in [(exports[1], 1), (exports[0], 0), (exports[3], 3), (exports[2], 2)] {
        remaining.removeAll { $0 == gone }
        try await exporter.remove(gone, remaining: remaining)
        try await exporter.remove(gone, remaining: remaining)
        let isUp = await sessions[position].isUp()
        #expect(!isUp, "a fence must end the session")
        // Without any target, tgtd does not even answer.
        await expect(remaining.isEmpty ? .unavailable : .forbidden, .notFound) { () throws(StorageError) in
          _ = try await initiator.logIn(to: target, as: gone.initiator, user: gone.chapUser, secret: gone.chapSecret)
        }
        let listed = try await exporter.exports()
        #expect(Set(listed) == Set(remaining.map(entry)))
        for export in remaining {
          let position = exports.firstIndex(of: export) ?? 0
          let isUp = await sessions[position].isUp()
          #expect(isUp, "another export's session must stay up")
          let again = try await initiator.logIn(
            to: target, as: export.initiator, user: export.chapUser, secret: export.chapSecret)
          await again.logOut()
        }
      }

      // The order of calls does not matter: the last one does.
      let back = try await exporter.ensure(exports[0])
      let session = try await initiator.logIn(to: back)
      #expect(back.iqn == target.iqn)
      await session.logOut()
      try await exporter.remove(exports[0], remaining: [])
    }
  }

  private func givesASecretAnew() async throws {
    try await withVolume { volume in
      let old = export(volume)
      let other = export(volume)
      _ = try await exporter.ensure(old)
      _ = try await exporter.ensure(other)
      let new = export(volume, as: old, secret: "another-secret")
      let target = try await exporter.ensure(new)
      let session = try await initiator.logIn(to: target)
      await session.logOut()
      await expect(.forbidden) { () throws(StorageError) in
        _ = try await initiator.logIn(to: target, as: old.initiator, user: old.chapUser, secret: old.chapSecret)
      }
      let bystander = try await initiator.logIn(
        to: target, as: other.initiator, user: other.chapUser, secret: other.chapSecret)
      await bystander.logOut()
      try await exporter.remove(new, remaining: [other])
      try await exporter.remove(other, remaining: [])
    }
  }

  private func showsGrowthToSessionsThatStayUp() async throws {
    try await withVolume { volume in
      let export = export(volume)
      let session = try await initiator.logIn(to: try await exporter.ensure(export))
      for size in [ByteCount.mebibytes(40), .mebibytes(64)] {
        _ = try await backend.ensured(volume.id, request(size))
        _ = try await exporter.ensure(export)
        let disk = try await session.disk()
        #expect(disk == TestDisk(volume: volume.id, size: size))
      }
      await session.logOut()
      try await exporter.remove(export, remaining: [])
    }
  }

  private func exportsManyVolumesAtOnce() async throws {
    let exports = try await withThrowingTaskGroup(of: Export.self) { group in
      for _ in 0..<12 {
        group.addTask { export(try await backend.ensured(.random(), request(.mebibytes(1)))) }
      }
      return try await group.reduce(into: [Export]()) { $0.append($1) }
    }
    let targets = try await withThrowingTaskGroup(of: String.self) { group in
      for export in exports { group.addTask { try await exporter.ensure(export).iqn } }
      return try await group.reduce(into: Set<String>()) { $0.insert($1) }
    }
    #expect(targets.count == exports.count, "a target belongs to one volume")
    let listed = try await exporter.exports()
    #expect(Set(listed) == Set(exports.map(entry)))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for export in exports {
        group.addTask {
          let session = try await initiator.logIn(to: try await exporter.ensure(export))
          let disk = try await session.disk()
          #expect(disk.volume == export.volume)
          try await exporter.remove(export, remaining: [])
          let isUp = await session.isUp()
          #expect(!isUp)
          try await backend.erase(export.volume, pool: pool)
        }
      }
      try await group.waitForAll()
    }
  }

  private func refusesWhatIsNotThere() async throws {
    let volume = try await backend.ensured(.random(), request(.mebibytes(1)))
    try await backend.erase(volume.id, pool: pool)
    let export = export(volume)
    await expect(.notFound) { () throws(StorageError) in _ = try await exporter.ensure(export) }
    let listed = try await exporter.exports()
    #expect(listed.isEmpty)
    try await exporter.remove(export, remaining: [])
  }

  private func repairsWhatIsHalfMade() async throws {
    for plant in hooks.plantHalfMade {
      try await withVolume { volume in
        let export = export(volume)
        try await plant(export)
        let halfMade = try await exporter.exports()
        #expect(halfMade.isEmpty, "what is half-made offers nothing")
        let session = try await initiator.logIn(to: try await exporter.ensure(export))
        let disk = try await session.disk()
        #expect(disk == TestDisk(volume: volume.id, size: volume.size))
        await session.logOut()
        try await exporter.remove(export, remaining: [])

        try await plant(export)
        try await exporter.remove(export, remaining: [])
        let left = try await exporter.exports()
        #expect(left.isEmpty)
      }
    }
  }

  private func restoresAfterTheTargetWasLost() async throws {
    guard let restartTarget = hooks.restartTarget else { return }
    try await withVolume { volume in
      let export = export(volume)
      let target = try await exporter.ensure(export)
      let session = try await initiator.logIn(to: target)
      try await restartTarget()
      let lost = try await exporter.exports()
      #expect(lost.isEmpty)
      let isUp = await session.isUp()
      #expect(!isUp)
      await session.logOut()
      let restored = try await exporter.ensure(export)
      #expect(restored == target)
      let again = try await initiator.logIn(to: restored)
      let disk = try await again.disk()
      #expect(disk == TestDisk(volume: volume.id, size: volume.size))
      await again.logOut()
      try await exporter.remove(export, remaining: [])
    }
  }

  private func withVolume(_ body: (StoredVolume) async throws -> Void) async throws {
    let volume = try await backend.ensured(.random(), request(.mebibytes(24)))
    try await body(volume)
    try await backend.erase(volume.id, pool: pool)
  }

  private func request(_ size: ByteCount) -> VolumeRequest {
    VolumeRequest(
      revision: 1, backend: backend.name, pool: pool, size: size,
      description: VolumeDescription(name: "", project: "project", type: "__DEFAULT__"))
  }

  private func export(_ volume: StoredVolume) -> Export {
    .make(volume, backend: backend.name, attachment: .random())
  }

  private func export(_ volume: StoredVolume, as old: Export, secret: String) -> Export {
    .make(volume, backend: backend.name, attachment: old.attachment, secret: secret)
  }

  private func entry(_ export: Export) -> Inventory.Export {
    Inventory.Export(attachment: export.attachment, volume: export.volume, initiator: export.initiator)
  }
}

extension Export {
  static func make(
    _ volume: StoredVolume, backend: String, attachment: AttachmentID, secret: String = "secret-of-16-cha"
  ) -> Export {
    Export(
      attachment: attachment, volume: volume.id, revision: 1, backend: backend, pool: volume.pool, path: volume.path,
      initiator: "iqn.2026-11.io.pumice:node-1:\(attachment)", readOnly: false, chapUser: "pumice-\(attachment)",
      chapSecret: secret)
  }
}
