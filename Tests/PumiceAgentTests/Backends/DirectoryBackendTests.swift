import Conformance
import Foundation
import Glibc
import Logging
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

struct DirectoryBackendTests {
  private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  @Test func aThinVolumeTakesNoBlocksAndAThickOneAllOfThem() async throws {
    for (provisioning, least) in [(DirectoryBackendConfiguration.Provisioning.thin, 0), (.thick, 8 << 20)] {
      try await withFolder { folder in
        let backend = try await open(folder, provisioning)
        let volume = try await backend.ensured(.random(), request(.mebibytes(8)))
        let shown = try await CommandRunner().run("stat", ["-c", "%s %b", volume.path]).standardOutput
        let numbers = shown.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        try #require(numbers.count == 2)
        #expect(numbers[0] == 8 << 20)
        #expect(numbers[1] * 512 >= least)
        #expect(provisioning == .thick || numbers[1] == 0)
      }
    }
  }

  @Test func filesAreReadableByTheirOwnerOnly() async throws {
    try await withFolder { folder in
      let backend = try await open(folder)
      let volume = try await backend.ensured(.random(), request(.mebibytes(1)))
      for path in [volume.path, volume.path + ".json"] {
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
      }
    }
  }

  @Test func theSidecarSaysWhatTheVolumeIs() async throws {
    try await withFolder { folder in
      let backend = try await open(folder)
      let id = VolumeID.random()
      let volume = try await backend.ensured(id, request(.mebibytes(1)))
      let json = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: volume.path + ".json")))
      let sidecar = try #require(json as? [String: Any])
      #expect(sidecar["id"] as? String == "\(id)")
      #expect(sidecar["name"] as? String == "database")
      #expect(sidecar["project"] as? String == "project")
      #expect(sidecar["type"] as? String == "fast")
      #expect(sidecar["metadata"] as? [String: String] == ["a": "1"])
      #expect(sidecar["size"] as? Int == 1 << 20)
      #expect(sidecar["format"] as? String == "raw")
      #expect(sidecar["revision"] as? Int == 1)
      #expect((sidecar["created"] as? Int ?? 0) > 1_700_000_000_000)
    }
  }

  @Test(arguments: ["", "{", "{\"id\": 3}", nil])
  func bytesWithoutAReadableSidecarAreKeptListedAndDescribedAgain(_ content: String?) async throws {
    try await withFolder { folder in
      let id = VolumeID.random()
      let made = try await open(folder).ensured(id, request(.mebibytes(1)))
      try Data("guest's data".utf8).write(to: URL(filePath: made.path))
      if let content {
        try folder.write(content, to: "volume-\(id).json")
      } else {
        try FileManager.default.removeItem(atPath: made.path + ".json")
      }

      let backend = try await open(folder)
      let listed = try await backend.volumes()
      #expect(listed.map(\.id) == [id])
      #expect(listed.first?.revision == 0)

      let healed = try await backend.ensured(id, request(.mebibytes(1), revision: 4))
      #expect(healed.revision == 4)
      #expect(healed.description.name == "database")
      #expect(try Data(contentsOf: URL(filePath: made.path)).prefix(12) == Data("guest's data".utf8))
      let again = try await backend.volumes()
      #expect(again == [healed])
    }
  }

  @Test func filesOfOthersAreLeftAlone() async throws {
    try await withFolder { folder in
      for name in ["notes.txt", "volume-1", "volume-\(VolumeID.random()).json.bak", ".volume-.new"] {
        try folder.write("mine", to: name)
      }
      let before = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
      let backend = try await open(folder)
      let volumes = try await backend.volumes()
      #expect(volumes.isEmpty)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == before)
    }
  }

  @Test func foldersThatAreNotFitAreRefusedWithTheRemedy() async throws {
    try await withFolder { folder in
      let file = try folder.write("", to: "file")
      let open = try folder.folder("open")
      try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: open)
      let link = folder.file("link")
      try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: folder.path)
      for (path, code, remedy) in [
        (folder.file("missing"), StorageError.Code.missingPart, "install -d"), (file, .forbidden, "real folder"),
        (link, .forbidden, "real folder"), (open, .forbidden, "chmod o-w"), ("relative", .invalid, "absolute"),
      ] {
        let error = await #expect(throws: StorageError.self) {
          try await DirectoryBackend.open(DirectoryBackendConfiguration(name: "files", path: path), logger: logger)
        }
        #expect(error?.code == code)
        #expect(error?.message.contains(remedy) == true, "\(error?.message ?? "")")
      }
    }
  }

  @Test func aFolderThatIsGoneMakesThePoolDown() async throws {
    try await withFolder { folder in
      let path = try folder.folder("pool")
      let configuration = DirectoryBackendConfiguration(name: "files", path: path)
      let backend = try await DirectoryBackend.open(configuration, logger: logger)
      try FileManager.default.removeItem(atPath: path)
      let pools = await backend.pools()
      #expect(pools.map(\.pool) == ["files"])
      #expect(pools.first?.downReason?.contains("does not exist") == true)
      #expect(pools.first?.free == .zero)
    }
  }

  @Test func theConfigurationIsReadAsTheOperatorWritesIt() throws {
    let json = """
      {"name": "ssd", "kind": "directory", "path": "/srv/pumice", "provisioning": "thick", "reserved_percentage": 7,
       "max_over_subscription_ratio": 2.5, "capabilities": {"tier": "gold", "zones": ["a", "b"]}}
      """
    let configuration = try JSONDecoder().decode(DirectoryBackendConfiguration.self, from: Data(json.utf8))
    #expect(
      configuration
        == DirectoryBackendConfiguration(
          name: "ssd", path: "/srv/pumice", provisioning: .thick, reservedPercentage: 7, maxOverSubscriptionRatio: 2.5,
          capabilities: ["tier": ["gold"], "zones": ["a", "b"]]))
    let short = try JSONDecoder().decode(
      DirectoryBackendConfiguration.self, from: Data("{\"name\": \"a\", \"path\": \"/a\"}".utf8))
    #expect(short == DirectoryBackendConfiguration(name: "a", path: "/a"))
    for (name, path, reserved, ratio) in [
      ("a b", "/a", 5, 1.0), ("a", "a", 5, 1), ("a", "/a", 100, 1), ("a", "/a", 5, 0.5),
    ] {
      let wrong = DirectoryBackendConfiguration(
        name: name, path: path, reservedPercentage: reserved, maxOverSubscriptionRatio: ratio)
      #expect(throws: StorageError.self) { try wrong.validate() }
    }
  }

  private func open(
    _ folder: TemporaryFolder, _ provisioning: DirectoryBackendConfiguration.Provisioning = .thin
  ) async throws -> DirectoryBackend {
    try await DirectoryBackend.open(
      DirectoryBackendConfiguration(name: "files", path: folder.path, provisioning: provisioning), logger: logger)
  }

  private func request(_ size: ByteCount, revision: Revision = 1) -> VolumeRequest {
    VolumeRequest(
      revision: revision, backend: "files", pool: "files", size: size,
      description: VolumeDescription(name: "database", project: "project", type: "fast", metadata: ["a": "1"]))
  }

  private func withFolder(_ body: (TemporaryFolder) async throws -> Void) async throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    try await body(folder)
  }
}
