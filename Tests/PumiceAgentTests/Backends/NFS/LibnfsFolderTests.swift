import Foundation
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import Conformance
@testable import PumiceAgent

/// Against an nfs-ganesha of their own each.
struct LibnfsFolderTests {
  @Test(.timeLimit(.minutes(1))) func aVolumeIsMadeFoundGrownAndErased() async throws {
    try await withShare { session, path in
      let folder = try await LibnfsFolder(session)
      let id = VolumeID.random()
      let names = FileNames(id)
      let request = VolumeRequest(
        revision: 3, backend: "nfs", pool: session.share.poolName, size: .gibibytes(1),
        description: VolumeDescription(name: "db", project: "project", type: "__DEFAULT__"))
      let sidecar = VolumeSidecar(id, request, size: request.size, created: Timestamp(milliseconds: 0))
      try await folder.create(names.newData)
      try await folder.grow(names.newData, to: request.size, thick: false)
      try await folder.write(try WireJSON.text(sidecar), to: names.newSidecar)
      try await folder.rename(names.newSidecar, to: names.sidecar)
      try await folder.rename(names.newData, to: names.data)

      #expect(Set(try await folder.files().keys.sorted()) == [names.data, names.sidecar])
      #expect(VolumeSidecar(try #require(try await folder.read(names.sidecar)), of: names) == sidecar)
      let status = try #require(try await folder.status(of: names.data))
      #expect(status.size == .gibibytes(1) && status.allocated < .mebibytes(1))

      try await folder.grow(names.data, to: .gibibytes(2), thick: false)
      try await folder.grow(names.data, to: .gibibytes(1), thick: false)
      let grown = try #require(try await folder.status(of: names.data))
      #expect(grown.size == .gibibytes(2) && grown.inode == status.inode && grown.changed >= status.changed)
      try await folder.sync(names.data)
      #expect(
        try FileManager.default.attributesOfItem(atPath: "\(path)/\(names.data)")[.posixPermissions] as? Int == 0o660)

      for name in [names.data, names.sidecar, names.newData] { try await folder.remove(name) }
      #expect(try await folder.files().keys.sorted().isEmpty)
      #expect(try await folder.status(of: names.data) == nil)
      #expect(try await folder.read(names.sidecar) == nil)
    }
  }

  @Test(.timeLimit(.minutes(1))) func itKeepsThePromisesOfAShareFolder() async throws {
    try await withShare { session, path in
      let folder = try await LibnfsFolder(session)
      try await Bed.with { bed in
        try await ShareFolderConformance(folder) { script in
          try await bed.run(["bash", "-c", "set -e; share=\(path); \(script)"])
        }.check()
      }
    }
  }

  @Test(.timeLimit(.minutes(1))) func aShareThatEverybodyCanWriteToIsRefused() async throws {
    try await withShare(mode: 0o777) { session, _ in
      let error = await #expect(throws: StorageError.self) { try await LibnfsFolder(session) }
      #expect(error?.code == .forbidden && error?.message.contains("chmod o-w") == true)
      _ = try await LibnfsFolder(session, allowsEverybody: true)
    }
  }

  @Test(.timeLimit(.minutes(1))) func whatIsNoRegularFileIsNoVolume() async throws {
    try await withShare { session, path in
      let (link, inner) = (FileNames(VolumeID.random()).data, FileNames(VolumeID.random()).data)
      try FileManager.default.createSymbolicLink(atPath: "\(path)/\(link)", withDestinationPath: "secret")
      try Data([1]).write(to: URL(fileURLWithPath: "\(path)/secret"))
      try FileManager.default.createDirectory(atPath: "\(path)/\(inner)", withIntermediateDirectories: false)
      let folder = try await LibnfsFolder(session)
      for name in [link, inner] {
        let error = await #expect(throws: StorageError.self) { try await folder.status(of: name) }
        #expect(error?.code == .conflict)
      }
      let read = await #expect(throws: StorageError.self) { try await folder.read(link) }
      #expect(read?.code == .forbidden)
      let grown = await #expect(throws: StorageError.self) {
        try await folder.grow(link, to: .mebibytes(1), thick: false)
      }
      #expect(grown?.code == .forbidden)
      #expect(try Data(contentsOf: URL(fileURLWithPath: "\(path)/secret")) == Data([1]))
      // A temporary name that somebody has made a link of is not written through, either.
      try await folder.write([2], to: link)
      #expect(try Data(contentsOf: URL(fileURLWithPath: "\(path)/secret")) == Data([1]))
      #expect(try await folder.read(link) == [2])
    }
  }

  @Test(.timeLimit(.minutes(1)), arguments: ["create", "write", "sync"])
  func aSmallFileThatCanNotBeWrittenLeavesNothing(_ step: String) async throws {
    try await withShare { session, _ in
      let folder = try await LibnfsFolder(session) { reached throws(StorageError) in
        if reached == step { throw StorageError(.failed, "as planned") }
      }
      await #expect(throws: StorageError.self) { try await folder.write([1, 2, 3], to: "a") }
      #expect(try await folder.files().keys.sorted().isEmpty)
    }
  }

  private func withShare(mode: mode_t = 0o700, _ body: (LibnfsSession, String) async throws -> Void) async throws {
    try await Bed.with { bed in
      let path = try bed.folder.folder("export")
      #expect(chmod(path, mode) == 0)
      let server = try GaneshaDaemon(in: bed, exports: [.init(path: path)])
      try await server.start()
      let settings = LibnfsSettings(user: 0, group: 0, ports: .init(nfs: server.nfsPort, mount: server.mountPort))
      try await body(try await LibnfsSession.open(try NFSShare("\(server.address):\(path)"), settings), path)
    }
  }
}
