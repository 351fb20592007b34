import Foundation
import PumiceModel
import TestBed
import Testing

@testable import PumiceAgent

/// What an operator is told about shares, each with something else the matter with it; against a real server.
@Suite(.timeLimit(.minutes(2))) struct AgentCheckNFSTests {
  @Test func aShareThatWorksIsSaidToWorkAndIsLeftEmpty() async throws {
    try await withServer { server, path, bed in
      let line = try await line(for: .init("\(server.address):\(path)"), in: bed)
      #expect(line.isOK && line.remedy == nil)
      #expect(line.detail.contains(" free; user 0 can write to it"), "\(line)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: path).isEmpty)
    }
  }

  @Test func aServerThatDoesNotLetUsInNeedsAnExport() async throws {
    try await withServer(access: .none) { server, path, bed in
      let share = "\(server.address):\(path)"
      try await expect(.init(share), in: bed, says: share, remedy: "showmount -e \(server.address)")
    }
  }

  @Test func aShareThatIsNotThereIsLookedFor() async throws {
    try await withServer { server, _, bed in
      let share = "\(server.address):/nowhere"
      try await expect(.init(share), in: bed, says: share, remedy: "showmount -e \(server.address)")
    }
  }

  @Test func nobodyThere() async throws {
    try await Bed.with { bed in
      let path = try bed.folder.folder("export")
      let server = try GaneshaDaemon(in: bed, exports: [.init(path: path)])
      try await expect(
        .init("\(server.address):\(path)"), in: bed, says: server.address, remedy: "rpcinfo -p \(server.address)")
    }
  }

  @Test func aMachineThatServesNothingIsNamed() async throws {
    // All of 127.0.0.0/8 is this machine, and nobody listens there.
    try await Bed.with { bed in
      try await expect(
        .init("127.254.254.253:/export"), in: bed, says: "127.254.254.253",
        remedy: "nobody listens on its ports 111 and 2049")
    }
  }

  @Test func aServerThatLetsNFS4ThroughAndNothingElseIsToBeMounted() async throws {
    try await withServer(dialect: .withoutPortmapper) { server, path, bed in
      try await expect(
        .init("\(server.address):\(path)"), in: bed, says: server.address,
        remedy: "Its port 2049 answers and its port 111 does not", "access: mount")
    }
  }

  @Test func aServerOfAnotherVersionIsNamed() async throws {
    try await withServer(dialect: .version4) { server, path, bed in
      try await expect(
        .init("\(server.address):\(path)"), in: bed, says: server.address,
        remedy: "A server that speaks NFSv4 only takes access: mount", "rpcinfo -p \(server.address)")
    }
  }

  @Test func aShareOfAnotherBackendIsLeftAlone() async throws {
    try await withServer { server, path, bed in
      let share = NFSBackendConfiguration.Share("\(server.address):\(path)")
      let session = try await LibnfsSession.open(try NFSShare(share.share), LibnfsSettings(user: 0, group: 0))
      let folder = try await LibnfsFolder(session)
      try await ShareOwner(node: "n2", backend: "nfs").claim(folder)
      try await expect(share, in: bed, says: ShareOwner.file, remedy: "Give each backend a share of its own")
      #expect(try FileManager.default.contentsOfDirectory(atPath: path) == [ShareOwner.file])
      // And is not made this one's by being looked at.
      try await folder.remove(ShareOwner.file)
      #expect(try await line(for: share, in: bed).isOK)
      #expect(try FileManager.default.contentsOfDirectory(atPath: path).isEmpty)
      try await ShareOwner(node: "n1", backend: "nfs").claim(folder)
      #expect(try await line(for: share, in: bed).isOK)
    }
  }

  @Test func aFolderThatWasReplacedIsToBeExportedAnew() async throws {
    try await withServer { server, path, bed in
      let share = NFSBackendConfiguration.Share("\(server.address):\(path)")
      #expect(try await line(for: share, in: bed).isOK)
      try await bed.run(["sh", "-c", "rmdir '\(path)' && mkdir '\(path).other' && mv '\(path).other' '\(path)'"])
      try await expect(share, in: bed, says: "stale", remedy: "exportfs -ra")
    }
  }

  @Test func oneFolderUnderTwoNamesIsFoundOut() async throws {
    try await withServer { server, path, bed in
      let shares = ["\(server.address):\(path)", "\(server.address):\(path)/"]
      let lines = try await lines(for: shares.map { .init($0) }, in: bed)
      #expect(lines.map(\.isOK) == [true, true, false], "\(lines)")
      #expect(lines.last?.detail == "It is the same folder as \(shares[0]).")
      #expect(lines.last?.remedy == "Take one of them out of shares.")
      #expect(try FileManager.default.contentsOfDirectory(atPath: path).isEmpty)
    }
  }

  @Test func aReadOnlyShareIsToBeExportedWithRw() async throws {
    try await withServer(access: .readOnly) { server, path, bed in
      try await expect(.init("\(server.address):\(path)"), in: bed, says: "read-only", remedy: "with rw (exports(5))")
    }
  }

  @Test func aServerThatTakesRootForNobodyHasRemedies() async throws {
    try await withServer(squashesRoot: true) { server, path, bed in
      let share = NFSBackendConfiguration.Share("\(server.address):\(path)")
      try await expect(
        share, in: bed, says: "denies access", remedy: "Set user and group of backend nfs", "no_root_squash")
      try await expect(
        share, user: 1234, in: bed, says: "denies access", remedy: "Make user 1234 the owner of the exported folder")
    }
  }

  @Test func aShareThatEverybodyCanWriteToNeedsAWord() async throws {
    try await withServer(mode: 0o777) { server, path, bed in
      var share = NFSBackendConfiguration.Share("\(server.address):\(path)")
      try await expect(share, in: bed, says: "chmod o-w", remedy: "set allow_everybody")
      share.allowEverybody = true
      #expect(try await line(for: share, in: bed).isOK)
    }
  }

  @Test func aFullShareNeedsRoom() async throws {
    try await withServer(mebibytes: 1) { server, path, bed in
      let session = try await LibnfsSession.open(
        try NFSShare("\(server.address):\(path)"), LibnfsSettings(user: 0, group: 0))
      let file = try await session.create(try NFSPath("filler"))
      let page = [UInt8](repeating: 7, count: 4096)
      var offset = Int64(0)
      while try await session.capacity().free > .zero, offset < 2 << 20 {
        try? await file.write(page, at: offset)
        offset += 4096
      }
      try await file.close()
      try await expect(.init("\(server.address):\(path)"), in: bed, says: "no space left", remedy: "Make room")
    }
  }

  // MARK: Parts

  private func withServer(
    access: GaneshaDaemon.Export.Access = .readWrite, squashesRoot: Bool = false, mode: mode_t = 0o755,
    mebibytes: Int? = nil, dialect: GaneshaDaemon.Dialect = .both,
    _ body: (GaneshaDaemon, String, Bed) async throws -> Void
  ) async throws {
    try await Bed.with { bed in
      let path = try bed.folder.folder("export")
      #expect(chmod(path, mode) == 0)
      let server = try GaneshaDaemon(
        in: bed, exports: [.init(path: path, access: access, squashesRoot: squashesRoot, mebibytes: mebibytes)],
        dialect: dialect)
      try await server.start()
      try await body(server, path, bed)
    }
  }

  private func line(
    for share: NFSBackendConfiguration.Share, user: UInt32 = 0, in bed: Bed
  ) async throws -> AgentCheck.Line {
    let lines = try await lines(for: [share], user: user, in: bed)
    return try #require(lines.count == 1 ? lines.first : nil)
  }

  private func lines(
    for shares: [NFSBackendConfiguration.Share], user: UInt32 = 0, in bed: Bed
  ) async throws -> [AgentCheck.Line] {
    let configuration = try AgentConfiguration.read(
      yaml: """
        name: n1
        listen: 127.0.0.1:7780
        state_directory: \(bed.folder.file("state"))
        join_token_file: \(try bed.folder.write("0123456789abcdef0123456789abcdef", to: "token"))
        backends: [{name: mem, kind: memory}]
        hypervisor: {kind: memory}
        """)
    return await AgentCheck(configuration).lines(
      for: NFSBackendConfiguration(
        name: "nfs", shares: shares, access: .libnfs, user: user, group: user, timeout: 5))
  }

  private func expect(
    _ share: NFSBackendConfiguration.Share, user: UInt32 = 0, in bed: Bed, says detail: String,
    remedy: String..., location: SourceLocation = #_sourceLocation
  ) async throws {
    let line = try await line(for: share, user: user, in: bed)
    #expect(!line.isOK && line.isRequired && line.part == "share \(share.share)", sourceLocation: location)
    #expect(line.detail.contains(detail), "\(line)", sourceLocation: location)
    for part in remedy { #expect(line.remedy?.contains(part) == true, "\(line)", sourceLocation: location) }
  }
}
