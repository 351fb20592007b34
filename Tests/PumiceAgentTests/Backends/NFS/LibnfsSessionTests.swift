import Foundation
import PumiceModel
import TestBed
import Testing

@testable import PumiceAgent

/// Against an nfs-ganesha of their own each; they need root and Debian's packages `nfs-ganesha` and `nfs-ganesha-vfs`.
struct LibnfsSessionTests {
  @Test(.timeLimit(.minutes(1))) func aFileIsMadeWrittenReadRenamedAndDeleted() async throws {
    try await withServer { server, folder in
      let session = try await server.open(folder)
      let (path, newPath) = (try NFSPath("volume"), try NFSPath("other"))
      #expect(try await session.status(of: path) == nil)
      let file = try await session.create(path)
      let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
      try await file.write(bytes, at: 4096)
      try await file.truncate(to: .mebibytes(64))
      try await file.sync()
      #expect(try await file.read(bytes.count, at: 4096) == bytes)
      #expect(try await file.read(4096, at: 0) == [UInt8](repeating: 0, count: 4096))
      #expect(try await file.read(4096, at: (64 << 20) - 10).count == 10)
      #expect(try await file.read(1, at: 64 << 20).isEmpty)
      let status = try await file.status()
      #expect(status.size == .mebibytes(64) && status.kind == .file && status.mode == 0o660)
      #expect(status.allocated < .mebibytes(8), "what was not written takes no space")
      try await file.close()

      try await session.rename(path, to: newPath)
      #expect(try await session.status(of: path) == nil)
      #expect(try await session.status(of: newPath)?.inode == status.inode)
      #expect(
        Array(try Data(contentsOf: URL(fileURLWithPath: "\(folder)/other"))[4096...].prefix(bytes.count)) == bytes)
      #expect(try await session.entries(of: .root).keys.sorted() == ["other"])
      try await session.remove(newPath)
      #expect(try await session.entries(of: .root).keys.sorted().isEmpty)
      #expect(session.loss == nil)
    }
  }

  @Test(.timeLimit(.minutes(1))) func whatIsThereOrMissingIsSaid() async throws {
    try await withServer { server, folder in
      let session = try await server.open(folder)
      let (path, inner) = (try NFSPath("a"), try NFSPath("sub/b"))
      try await session.makeFolder(try NFSPath("sub"))
      try await session.create(inner).close()
      try await session.create(path).close()
      #expect(Set(try await session.entries(of: .root).keys.sorted()) == ["a", "sub"])
      #expect(try await session.entries(of: try NFSPath("sub")).keys.sorted() == ["b"])
      #expect(try await session.status(of: try NFSPath("sub"))?.kind == .folder)
      #expect(await code { _ = try await session.create(path) } == .conflict)
      #expect(await code { try await session.makeFolder(path) } == .conflict)
      #expect(await code { _ = try await session.entries(of: path).keys.sorted() } == .conflict)
      let missing = try NFSPath("missing")
      #expect(await code { _ = try await session.open(missing) } == .notFound)
      #expect(await code { try await session.remove(missing) } == .notFound)
      #expect(await code { try await session.rename(missing, to: path) } == .notFound)
      #expect(await code { _ = try await session.entries(of: missing).keys.sorted() } == .notFound)
      let (total, free) = try await session.capacity()
      var status = statvfs()
      #expect(statvfs(folder, &status) == 0)
      #expect(total == ByteCount(Int64(status.f_blocks) * Int64(status.f_frsize)))
      #expect(free > .zero && free <= total)
      #expect(session.loss == nil, "no failure of these ends a session")
    }
  }

  @Test(.timeLimit(.minutes(1))) func linksInTheShareDoNotLeadOutOfIt() async throws {
    try await withServer { server, folder in
      let above = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/..")
      try FileManager.default.createSymbolicLink(atPath: "\(folder)/file", withDestinationPath: "/etc/passwd")
      try FileManager.default.createSymbolicLink(atPath: "\(folder)/etc", withDestinationPath: "/etc")
      try FileManager.default.createSymbolicLink(atPath: "\(folder)/up", withDestinationPath: "..")
      let session = try await server.open(folder)
      #expect(try await session.status(of: try NFSPath("file"))?.kind == .link)
      #expect(await code { _ = try await session.open(try NFSPath("file")) } == .forbidden)
      #expect(await code { _ = try await session.create(try NFSPath("file")) } == .conflict)
      for link in ["etc", "up"] {
        #expect(await code { _ = try await session.entries(of: try NFSPath(link)).keys.sorted() } != nil)
        #expect(await code { _ = try await session.open(try NFSPath("\(link)/passwd")) } != nil)
        #expect(await code { _ = try await session.create(try NFSPath("\(link)/new")) } != nil)
        #expect(await code { try await session.remove(try NFSPath("\(link)/new")) } != nil)
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 3)
      #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder)/..").count == above.count)
      #expect(!FileManager.default.fileExists(atPath: "/etc/new"))
    }
  }

  @Test(.timeLimit(.minutes(1))) func manyCallsAreUnderWayTogether() async throws {
    try await withServer { server, folder in
      let session = try await server.open(folder)
      let file = try await session.create(try NFSPath("a"))
      let (count, size) = (32, 2048)
      try await server.daemon.pause()
      try await withThrowingTaskGroup(of: Void.self) { group in
        for index in 0..<count {
          group.addTask {
            try await file.write([UInt8](repeating: UInt8(index), count: size), at: Int64(index * size))
          }
        }
        try await eventually("all requests have been sent") {
          try TCPEnds(port: server.daemon.nfsPort).bytesUnderWay > count * size
        }
        await server.daemon.resume()
        try await group.waitForAll()
      }
      try await withThrowingTaskGroup(of: Bool.self) { group in
        for index in 0..<count {
          group.addTask {
            try await file.read(size, at: Int64(index * size)) == [UInt8](repeating: UInt8(index), count: size)
          }
        }
        for try await isRight in group { #expect(isRight) }
      }
      try await file.close()
    }
  }

  @Test(.timeLimit(.minutes(1))) func theServersRulesAreSaid() async throws {
    try await Bed.with { bed in
      let folders = try ["read-only", "squashed", "closed"].map { try bed.folder.folder($0) }
      #expect(chown(folders[1], 1234, 1234) == 0)
      let daemon = try GaneshaDaemon(
        in: bed,
        exports: [
          .init(path: folders[0], access: .readOnly), .init(path: folders[1], squashesRoot: true),
          .init(path: folders[2], access: .none),
        ])
      try await daemon.start()
      let server = Server(daemon: daemon)
      let path = try NFSPath("a")

      let readOnly = try await server.open(folders[0])
      let error = await failure { _ = try await readOnly.create(path) }
      #expect(error?.code == .forbidden && error?.message.contains("read-only") == true)
      #expect(await code { try await readOnly.makeFolder(path) } == .forbidden)

      #expect(await code { _ = try await server.open(folders[1]).create(path) } == .forbidden)
      let owner = try await server.open(folders[1], user: 1234)
      let file = try await owner.create(path)
      #expect(try await file.status().user == 1234)

      #expect(await code { _ = try await server.open(folders[2]) } == .forbidden)
      let missing = await code { _ = try await server.open(bed.folder.file("missing")) }
      #expect(missing == .forbidden || missing == .notFound)
    }
  }

  @Test(.timeLimit(.minutes(1))) func aFullShareIsSaidAndRecovers() async throws {
    try await Bed.with { bed in
      let folder = try bed.folder.folder("small")
      let daemon = try GaneshaDaemon(in: bed, exports: [.init(path: folder, mebibytes: 2)])
      try await daemon.start()
      let session = try await Server(daemon: daemon).open(folder)
      let (path, bytes) = (try NFSPath("a"), [UInt8](repeating: 7, count: 4 << 20))
      let file = try await session.create(path)
      #expect(
        await code {
          try await file.write(bytes, at: 0)
          try await file.sync()
        } == .noSpace)
      #expect(try await session.capacity().free < .mebibytes(1))
      try await file.close()
      try await session.remove(path)
      #expect(try await session.capacity().free > .mebibytes(1))
      let next = try await session.create(path)
      try await next.write(Array(bytes.prefix(1 << 20)), at: 0)
      try await next.sync()
      #expect(session.loss == nil)
    }
  }

  @Test(.timeLimit(.minutes(1))) func aServerThatDiesTakesNothingWithItButTheSession() async throws {
    try await withServer { server, folder in
      let session = try await server.open(folder)
      let (path, bytes) = (try NFSPath("a"), [UInt8](repeating: 7, count: 65536))
      let file = try await session.create(path)
      try await file.write(bytes, at: 0)
      try await file.sync()
      try await server.daemon.pause()
      async let written = code { try await file.write(bytes, at: 65536) }
      async let listed = code { _ = try await session.entries(of: .root).keys.sorted() }
      try await eventually("the requests have been sent") {
        try TCPEnds(port: server.daemon.nfsPort).bytesUnderWay > bytes.count
      }
      try await server.daemon.kill9()
      #expect(await [written, listed] == [.unavailable, .unavailable])
      #expect(await code { try await file.sync() } == .unavailable)
      #expect(session.loss != nil)
      #expect(await code { _ = try await server.open(folder) } == .unavailable)

      try await server.daemon.start()
      #expect(
        await code { try await file.sync() } == .unavailable, "what was not synced is not reported as synced later")
      let successor = try await server.open(folder)
      #expect(try await successor.open(path).read(bytes.count, at: 0) == bytes)
    }
  }

  @Test(.timeLimit(.minutes(1))) func aSilentServerIsGivenUpInTime() async throws {
    try await withServer { server, folder in
      let session = try await server.open(folder, deadline: .seconds(3))
      let file = try await session.create(try NFSPath("a"))
      try await server.daemon.pause()
      #expect(await code { _ = try await file.read(1, at: 0) } == .timeout)
      #expect(await code { _ = try await server.open(folder, deadline: .seconds(3)) } == .timeout)
      try await eventually("a server that says nothing at all has lost its session") { session.loss != nil }
      #expect(await code { _ = try await session.capacity() } == .unavailable)
      await server.daemon.resume()
      #expect(try await server.open(folder).entries(of: .root).keys.sorted() == ["a"])
    }
  }

  @Test(.timeLimit(.minutes(1))) func oneAnswerThatDoesNotComeHoldsNothingElse() async throws {
    try await withServer { server, folder in
      try #require(FileManager.default.createFile(atPath: "\(folder)/a", contents: Data(repeating: 7, count: 1 << 17)))
      try await withLossyRelay(to: server.daemon.nfsPort, at: server.daemon.address, limit: 1 << 16) { port in
        let session = try await server.open(folder, port: port, deadline: .seconds(3))
        let file = try await session.open(try NFSPath("a"))
        async let lost = code { _ = try await file.read(1 << 17, at: 0) }
        for _ in 0..<5 {
          try await Task.sleep(for: .milliseconds(200))
          #expect(try await file.read(3, at: 0) == [7, 7, 7])
        }
        #expect(await lost == .timeout)
        #expect(session.loss == nil, "the server answers, so the session stands")
        // libnfs still knows the call: the file is not taken from under it.
        async let closed = code { try await file.close() }
        for _ in 0..<5 {
          try await Task.sleep(for: .milliseconds(200))
          #expect(try await session.entries(of: .root).keys.sorted() == ["a"])
        }
        #expect(await closed == .timeout)
        #expect(try await session.entries(of: .root).keys.sorted() == ["a"])
      }
    }
  }

  @Test func nobodyThereIsUnavailable() async throws {
    let settings = LibnfsSettings(
      user: 0, group: 0, ports: .init(nfs: try freePort(), mount: try freePort()), deadline: .seconds(5))
    let error = await failure { _ = try await LibnfsSession.open(try NFSShare("127.0.0.1:/export"), settings) }
    #expect(error?.code == .unavailable)
    #expect(error?.message.contains("127.0.0.1:/export") == true)
    let unknown = await code {
      _ = try await LibnfsSession.open(try NFSShare("no-such-host.invalid:/export"), settings)
    }
    #expect(unknown == .notFound || unknown == .unavailable || unknown == .timeout)
  }

  @Test(.timeLimit(.minutes(1))) func aFileThatWasTakenAwayIsGoneAndNothingElse() async throws {
    try await withServer { server, folder in
      let session = try await server.open(folder)
      // Not made through the server, which might still have it open and so know it.
      try #require(FileManager.default.createFile(atPath: "\(folder)/a", contents: Data([1, 2, 3])))
      let file = try await session.open(try NFSPath("a"))
      try FileManager.default.removeItem(atPath: "\(folder)/a")
      #expect(await code { try await file.write([4], at: 0) } == .unavailable)
      #expect(try await session.entries(of: .root).isEmpty)
      #expect(await code { _ = try await session.open(try NFSPath("a")) } == .notFound)
      #expect(session.loss == nil)
    }
  }

  @Test(.timeLimit(.minutes(1))) func aClosedFileIsClosed() async throws {
    try await withServer { server, folder in
      let session = try await server.open(folder)
      let file = try await session.create(try NFSPath("a"))
      async let written: Void = file.write([UInt8](repeating: 1, count: 1 << 20), at: 0)
      try await written
      try await file.close()
      #expect(await code { try await file.close() } == .failed)
      #expect(await code { _ = try await file.read(1, at: 0) } == .failed)
      #expect(try await session.status(of: try NFSPath("a"))?.size == .mebibytes(1))
    }
  }

  @Test(.timeLimit(.minutes(1))) func aSessionThatIsLetGoHangsUp() async throws {
    try await withServer { server, folder in
      do {
        let session = try await server.open(folder)
        _ = try await session.create(try NFSPath("a"))
        let isConnected = try withExtendedLifetime(session) {
          try TCPEnds(port: server.daemon.nfsPort).areConnected
        }
        #expect(isConnected)
      }
      try await eventually("nobody is connected") {
        try !TCPEnds(port: server.daemon.nfsPort).areConnected
      }
    }
  }

  // MARK: Parts

  private struct Server {
    let daemon: GaneshaDaemon

    func open(
      _ path: String, user: UInt32 = 0, port: Int? = nil, deadline: Duration = .seconds(20)
    ) async throws -> LibnfsSession {
      let settings = LibnfsSettings(
        user: user, group: user, ports: .init(nfs: port ?? daemon.nfsPort, mount: daemon.mountPort), deadline: deadline)
      return try await LibnfsSession.open(try NFSShare("\(daemon.address):\(path)"), settings)
    }
  }

  private func withServer(_ body: (Server, String) async throws -> Void) async throws {
    try await Bed.with { bed in
      let folder = try bed.folder.folder("export")
      let daemon = try GaneshaDaemon(in: bed, exports: [.init(path: folder)])
      try await daemon.start()
      try await body(Server(daemon: daemon), folder)
    }
  }

  private func failure(_ body: () async throws -> Void) async -> StorageError? {
    do { try await body() } catch { return error as? StorageError }
    return nil
  }

  private func code(_ body: () async throws -> Void) async -> StorageError.Code? { await failure(body)?.code }
}
