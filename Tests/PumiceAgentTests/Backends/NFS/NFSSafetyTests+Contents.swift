import Conformance
import Foundation
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

extension NFSSafetyTests {
  /// Files that a guest, or somebody else with access to the share, has had his hands on.
  @Suite struct Contents {
    private let volume = VolumeID.random()
    private let copy = VolumeID.random()
    private let snapshot = SnapshotID.random()

    @Test func namesThatLeadElsewhereAreNotFollowed() async throws {
      try await NFSFixture.with { fixture in
        let secret = fixture.bed.folder.file("secret")
        try Data("secret".utf8).write(to: URL(filePath: secret))
        let names = ["volume-\(volume)", "volume-\(volume).json"] + ShareVolumes.temporaryNames(of: volume)
        for name in names {
          for isFolder in [false, true] {
            let planted = "\(fixture.path)/\(name)"
            if isFolder {
              try FileManager.default.createDirectory(atPath: "\(planted)/inner", withIntermediateDirectories: true)
            } else {
              try FileManager.default.createSymbolicLink(atPath: planted, withDestinationPath: secret)
            }
            let backend = try await fixture.open()
            do throws(StorageError) {
              _ = try await backend.ensured(volume, fixture.request(.mebibytes(1)))
            } catch {
              #expect(error.message.contains(name), "\(error)")
            }
            #expect(try Data(contentsOf: URL(filePath: secret)) == Data("secret".utf8))
            if isFolder { #expect(FileManager.default.fileExists(atPath: "\(planted)/inner")) }
            // The others are served, and this one is when that is gone.
            let next = try await fixture.open()
            _ = try await next.ensured(copy, fixture.request(.mebibytes(1)))
            try? FileManager.default.removeItem(atPath: planted)
            let last = try await fixture.open()
            _ = try await last.ensured(volume, fixture.request(.mebibytes(1)))
            for id in [volume, copy] { try await last.erase(id, pool: fixture.pool) }
            #expect(try fixture.files().isEmpty)
          }
        }
      }
    }

    /// What a guest writes to its disk, to have it taken for an image of another file.
    enum Disguise: String, CaseIterable {
      /// CVE-2014-3641, CVE-2015-1851
      case backingFile = "qemu-img create -q -f qcow2 -u -b /etc/passwd -F raw IMAGE 1M"
      /// CVE-2024-32498
      case dataFile = "qemu-img create -q -f qcow2 -o data_file=IMAGE.data,data_file_raw=on IMAGE 1M"
      case unknownFeature =
        "qemu-img create -q -f qcow2 IMAGE 1M && printf '\\100' | dd of=IMAGE bs=1 seek=79 conv=notrunc status=none"
      /// CVE-2022-47951
      case descriptor = """
        printf '# Disk DescriptorFile\\nversion=1\\nCID=12345678\\nparentCID=ffffffff\\n' >IMAGE &&
        printf 'createType=\"monolithicFlat\"\\nRW 4 FLAT \"/etc/passwd\" 0\\n' >>IMAGE
        """
    }

    /// Whatever is done with its volume, by the backend or by who attaches it: CVE-2026-24708 is about extending.
    @Test(arguments: Disguise.allCases, [SharedImage.Format.raw, .qcow2])
    func whatAGuestWritesIsNothingButBytes(_ disguise: Disguise, _ format: SharedImage.Format) async throws {
      try await NFSFixture.with(format: format) { fixture in
        let image = fixture.bed.folder.file("image")
        try await fixture.bed.run([
          "sh", "-c", "\(disguise.rawValue.replacing("IMAGE", with: "'\(image)'")) && truncate -s 1M '\(image)'",
        ])
        let bytes = [UInt8](try Data(contentsOf: URL(filePath: image)))
        let backend = try await fixture.open()
        _ = try await backend.ensured(volume, fixture.request(.mebibytes(1)))
        let base = "\(fixture.path)/volume-\(volume)"
        try await fixture.bed.run([
          "qemu-img", "convert", "-n", "-S", "0", "-f", "raw", "-O", format.rawValue, image, base,
        ])

        func shown(_ id: VolumeID) async throws -> [UInt8] {
          let image = try await backend.image(of: id, pool: fixture.pool, inUse: false)
          let source = try await QEMUNFSConnector(node: "n1").connect(.random(), connection(to: image, of: id))
          guard case .image(let disk) = source else { throw TestBedFailure("\(source) is no image.") }
          // QEMU is told all of this, and asks no file.
          #expect(disk.layers.map(\.path) == image.layers.map { "\(fixture.path)/\($0.name)" })
          #expect(disk.layers.map(\.format) == image.layers.map(\.format))
          #expect(disk.layers.dropLast().allSatisfy { $0.format == .qcow2 })
          let plain = fixture.bed.folder.file("plain")
          try await fixture.bed.run([
            "qemu-img", "convert", "-f", disk.layers[0].format.rawValue, "-O", "raw", disk.layers[0].path, plain,
          ])
          return [UInt8](try Data(contentsOf: URL(filePath: plain)))
        }
        #expect(try await shown(volume) == bytes)
        _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
        #expect(try await shown(volume) == bytes)
        _ = try await backend.reverted(volume, fixture.revertRequest(7, to: snapshot))
        #expect(try await shown(volume) == bytes)
        let source = VolumeSource.snapshot(snapshot, of: volume)
        _ = try await backend.ensured(copy, fixture.request(.mebibytes(1), source: source))
        #expect(try await shown(copy) == bytes)
        _ = try await backend.ensured(volume, fixture.request(.mebibytes(2), revision: 8))
        _ = try await backend.ensured(copy, fixture.request(.mebibytes(2), revision: 2, source: source))
        let grown = bytes + [UInt8](repeating: 0, count: 1 << 20)
        #expect(try await shown(volume) == grown)
        #expect(try await shown(copy) == grown)
        try await backend.erase(snapshot, of: volume, pool: fixture.pool)
        #expect(try await shown(volume) == grown)
        #expect(try await backend.image(of: volume, pool: fixture.pool, inUse: false).layers.count == 1)
        try await fixture.audit(backend, isSettled: true)
      }
    }

    @Test func anOverlayThatSomebodyHasChangedIsNotOpened() async throws {
      try await NFSFixture.with { fixture in
        let backend = try await fixture.open()
        try await make(fixture, backend)
        _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
        let active = try await backend.image(of: volume, pool: fixture.pool, inUse: false).layers[0].name
        let overlay = URL(filePath: "\(fixture.path)/\(active)")
        let good = try Data(contentsOf: overlay)
        // Of the incompatible features: corrupt, data file, and one that nobody knows.
        for change in [2, 4, 0x40, nil] as [UInt8?] {
          if let change {
            let file = try FileHandle(forUpdating: overlay)
            try file.seek(toOffset: 79)
            try file.write(contentsOf: [change])
            try file.close()
          } else {
            try await fixture.bed.run([
              "qemu-img", "rebase", "-q", "-u", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", overlay.path(),
            ])
          }
          let opened = await #expect(throws: StorageError.self) {
            try await backend.image(of: volume, pool: fixture.pool, inUse: false)
          }
          let taken = await #expect(throws: StorageError.self) {
            try await backend.snapshotted(SnapshotID.random(), fixture.snapshotRequest(of: volume))
          }
          let copied = await #expect(throws: StorageError.self) {
            try await backend.ensured(copy, fixture.request(.mebibytes(1), source: .volume(volume)))
          }
          for error in [opened, taken, copied] {
            #expect(error?.code == .conflict, "\(String(describing: change)): \(String(describing: error))")
          }
          let file = try FileHandle(forUpdating: overlay)
          try file.write(contentsOf: good.prefix(4096))
          try file.close()
          _ = try await backend.image(of: volume, pool: fixture.pool, inUse: false)
        }
        try await fixture.audit(backend, isSettled: true)
      }
    }

    /// Mutations of a description, each seen by an agent that has just started. The other volume is served as ever, and no file
    /// is touched but those of the one.
    @Test func whateverADescriptionSaysNoOtherVolumeIsHarmed() async throws {
      try await NFSFixture.with(isInMemory: true) { fixture in
        let backend = try await fixture.open()
        try await make(fixture, backend)
        _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
        _ = try await backend.snapshotted(.random(), fixture.snapshotRequest(of: volume))
        _ = try await backend.ensured(copy, fixture.request(.mebibytes(1), source: .snapshot(snapshot, of: volume)))
        let good = String(decoding: try WireJSON.text(description(fixture)), as: UTF8.self)
        let stranger = fixture.bed.folder.file("stranger")
        try Data("stranger".utf8).write(to: URL(filePath: stranger))
        let others = try fixture.files().filter { $0.contains("\(copy)") }
        func bytes(of name: String) throws -> Data { try Data(contentsOf: URL(filePath: "\(fixture.path)/\(name)")) }
        let before = try others.map(bytes)
        let names = try fixture.files()
        let saved = try names.map(bytes)
        let folder = try await backend.shares[0].access.folder()

        let words = try description(fixture).layers.map(\.name) + ["\(snapshot)", "\(volume)", "raw", "qcow2"]
        let pieces =
          words + [
            "volume-\(copy)", "../stranger", stranger, "volume-\(copy).json", "\(copy)", "", "a\\u0000b", "a\\nb",
            ".pumice-owner", ".volume-\(volume).json.0.new",
          ]
        let whole = [
          "", "{}", "[]", "null", "\u{0}", String(good.dropLast(20)), String(repeating: "[", count: 100_000),
          String(repeating: "{\"a\":", count: 50_000), good + good,
          good.replacing("\"size\" : 1048576", with: "\"size\" : 9223372036854775807"),
          good.replacing("\(volume)", with: "\(copy)"),
        ]
        let seed = UInt64.random(in: 0 ... .max)
        var dice = Dice(seed: seed)
        var refused = 0
        for round in 0..<90 {
          var text = good
          if round < whole.count {
            text = whole[round]
          } else {
            for _ in 0...dice.below(3) {
              let found = text.ranges(of: words[dice.below(words.count)])
              if found.isEmpty { continue }
              text.replaceSubrange(found[dice.below(found.count)], with: pieces[dice.below(pieces.count)])
            }
          }
          for name in try fixture.files() where !names.contains(name) { try await folder.remove(name) }
          for (name, content) in zip(names, saved) {
            let isRight = try? bytes(of: name) == content
            if isRight != true { try await folder.write(Array(content), to: name) }
          }
          try await folder.write(Array(text.utf8), to: "volume-\(volume).json")
          let next = try await fixture.open()
          let note: Comment = "seed \(seed), round \(round): \(text.prefix(4000))"
          #expect(try await next.volumes().map(\.id).contains(copy), note)
          _ = try await next.snapshots()
          let isRefused = await code { _ = try await next.volume(volume) } != nil
          _ = await code { _ = try await next.image(of: volume, pool: fixture.pool, inUse: false) }
          _ = await code { _ = try await next.ensured(volume, fixture.request(.mebibytes(2), revision: 9)) }
          _ = await code { _ = try await next.snapshotted(.random(), fixture.snapshotRequest(of: volume)) }
          _ = await code { try await next.erase(snapshot, of: volume, pool: fixture.pool) }
          _ = await code { _ = try await next.reverted(volume, fixture.revertRequest(12, to: snapshot)) }
          _ = await code { try await next.erase(volume, pool: fixture.pool) }
          if isRefused {
            refused += 1
            let kept = try fixture.files()
            #expect(kept == names, note)
          }
          #expect(try others.map(bytes) == before, note)
          #expect(try await next.image(of: copy, pool: fixture.pool, inUse: false).layers.count == 1, note)
          #expect(try Data(contentsOf: URL(filePath: stranger)) == Data("stranger".utf8), note)
        }
        #expect(refused > 20 && refused < 90)
      }
    }

    @Test func theMarkOfAnOwnerIsBelievedOrTheShareIsLeftAlone() async throws {
      try await NFSFixture.with { fixture in
        let mark = "\(fixture.path)/\(ShareOwner.file)"
        let secret = try fixture.bed.folder.write("secret", to: "secret")
        // Whoever began to write it has died.
        let share = try NFSShare(fixture.pool)
        let session = try await LibnfsSession.open(share, LibnfsSettings(user: 0, group: 0))
        try await session.create(try NFSPath(ShareOwner.file)).close()
        let backend = try await fixture.open()
        _ = try await backend.ensured(volume, fixture.request(.mebibytes(1)))
        try await backend.erase(volume, pool: fixture.pool)
        try await session.remove(try NFSPath(ShareOwner.file))

        for plant in [
          "printf x >MARK", "head -c 3000000 /dev/zero >MARK", "printf '{\"node\":\"n2\",\"backend\":\"nfs\"}' >MARK",
          "mkdir MARK", "ln -s \(secret) MARK", "ln -s nowhere MARK", "mkfifo MARK",
        ] {
          try await fixture.bed.run(["sh", "-c", plant.replacing("MARK", with: mark)])
          let error = await #expect(throws: StorageError.self) {
            try await fixture.open().ensured(volume, fixture.request(.mebibytes(1)))
          }
          #expect([.forbidden, .conflict].contains(error?.code), "\(plant): \(error as Any)")
          #expect(error?.message.contains(ShareOwner.file) == true, "\(plant): \(error as Any)")
          #expect(try fixture.files().isEmpty, "\(plant)")
          #expect(try String(contentsOfFile: secret, encoding: .utf8) == "secret")
          try await fixture.bed.run(["rm", "-r", mark])
        }
      }
    }

    /// Of 128 entries each, of 255 characters of four bytes.
    @Test func muchMetadataIsNoReasonToLoseAVolume() async throws {
      var settings = ShareVolumes.Settings()
      settings.longestDescription = .mebibytes(3)
      try await NFSFixture.with(settings: settings) { fixture in
        let backend = try await fixture.open()
        _ = try await backend.ensured(volume, fixture.request(.mebibytes(1)))
        let value = String(repeating: "\u{1f30b}", count: 255)
        let keys = (0..<128).map { "\($0)" + value.dropFirst(3) }
        var request = fixture.snapshotRequest(of: volume)
        request.description.metadata = Dictionary(uniqueKeysWithValues: keys.map { ($0, value) })
        var taken: [SnapshotID] = []
        while taken.count < 100 {
          let id = SnapshotID.random()
          do throws(StorageError) {
            _ = try await backend.snapshotted(id, request)
            taken.append(id)
          } catch {
            #expect(error.code == .unsupported && error.message.contains("metadata"), "\(error)")
            break
          }
        }
        #expect(5..<15 ~= taken.count)
        let next = try await fixture.open()
        #expect(try await next.volumes().map(\.id) == [volume])
        #expect(try await next.snapshots().map(\.id) == taken.sorted())
        // It is full, and does not stay so.
        for id in taken { try await next.erase(id, of: volume, pool: fixture.pool) }
        try await next.erase(volume, pool: fixture.pool)
        #expect(try fixture.files().isEmpty)
      }
    }

    // MARK: Parts

    private func make(_ fixture: NFSFixture, _ backend: NFSBackend) async throws {
      _ = try await backend.ensured(volume, fixture.request(.mebibytes(1)))
      try await fixture.paint(1, 0..<8, of: volume, by: backend)
    }

    private func code(_ body: () async throws -> Void) async -> StorageError.Code? {
      do { try await body() } catch { return (error as? StorageError)?.code }
      return nil
    }

    private func description(_ fixture: NFSFixture) throws -> NFSVolume {
      try #require(try fixture.description(of: volume))
    }

    private func connection(to image: SharedImage, of volume: VolumeID) -> ConnectionRequest {
      var target = ExportedTarget(
        protocolName: "nfs", portals: [], iqn: "", lun: 0, initiator: "nfs:n1", chapUser: "", chapSecret: "")
      target.image = image
      return ConnectionRequest(
        revision: 1, volume: volume, instance: .random(), size: .mebibytes(1), target: target)
    }
  }
}
