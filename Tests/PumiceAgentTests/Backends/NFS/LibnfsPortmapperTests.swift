import PumiceModel
import TestBed
import Testing

@testable import PumiceAgent

struct LibnfsPortmapperTests {
  @Test(.timeLimit(.minutes(1))) func theServersPortmapperIsAskedWhereNoPortsAreSet() async throws {
    try await Bed.with { bed in
      let folder = try bed.folder.folder("export")
      let servers = try (1...2).map { index in
        try GaneshaDaemon(in: bed, exports: [.init(path: folder)], name: "ganesha-\(index)")
      }
      for server in servers {
        try await server.start()
        let share = try NFSShare("\(server.address):\(folder)")
        let session = try await LibnfsSession.open(share, LibnfsSettings(user: 0, group: 0))
        _ = try await session.entries(of: .root).keys.sorted()
      }
      #expect(servers[0].address != servers[1].address)
    }
  }
}
