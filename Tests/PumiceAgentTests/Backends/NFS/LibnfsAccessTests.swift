import PumiceModel
import TestBed
import Testing

@testable import PumiceAgent

struct LibnfsAccessTests {
  @Test(.timeLimit(.minutes(1))) func aServerThatIsBackIsUsedAgain() async throws {
    try await Bed.with { bed in
      let folder = try bed.folder.folder("export")
      let server = try GaneshaDaemon(in: bed, exports: [.init(path: folder)])
      let access = LibnfsAccess(
        try NFSShare("\(server.address):\(folder)"),
        LibnfsSettings(user: 0, group: 0, ports: .init(nfs: server.nfsPort, mount: server.mountPort)),
        pause: .milliseconds(100))
      let early = await #expect(throws: StorageError.self) { try await access.session() }
      #expect(early?.code == .unavailable)
      try await server.start()
      let file = try await eventually("it is there") { try await access.session().create(try NFSPath("a")) }
      let session = try await access.session()
      #expect(try await access.session() === session)

      try await server.kill9()
      let late = await #expect(throws: StorageError.self) { try await file.sync() }
      #expect(late?.code == .unavailable)
      #expect(session.loss != nil)
      try await server.start()
      try await eventually("it is back") { try await access.session().entries(of: .root).keys.sorted() == ["a"] }
    }
  }

  /// Fifty attempts, one after the other, would take longer than the test may.
  @Test(.timeLimit(.minutes(1))) func oneAttemptIsMadeForAllWhoAsk() async throws {
    try await withSilentPortal { portal in
      let port = try #require(portal.split(separator: ":").last.flatMap { Int($0) })
      let access = LibnfsAccess(
        try NFSShare("127.0.0.1:/export"),
        LibnfsSettings(user: 0, group: 0, ports: .init(nfs: port, mount: port), deadline: .seconds(2)),
        pause: .seconds(600))
      let codes = await withTaskGroup(of: StorageError.Code?.self) { group in
        for _ in 0..<50 {
          group.addTask {
            do throws(StorageError) { _ = try await access.session() } catch { return error.code }
            return nil
          }
        }
        return await group.reduce(into: [StorageError.Code?]()) { $0.append($1) }
      }
      #expect(codes == [StorageError.Code?](repeating: .timeout, count: 50))
    }
  }
}
