import Foundation
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

/// Reading and writing chains of images, against QEMU's own tools.
@Suite(.timeLimit(.minutes(2))) struct ImageReaderTests {
  /// base (raw) ◀── middle ◀── top, each as large as the one before or larger.
  @Test(arguments: 0..<4) func aChainIsReadAndMergedAsQEMUWould(_ round: Int) async throws {
    try await NFSFixture.with { fixture in
      var dice = SystemRandomNumberGenerator()
      let sizes = (0..<3).map { _ in Int64.random(in: 8...32, using: &dice) << 16 }.sorted()
      let path = fixture.path
      try await fixture.bed.run(["truncate", "-s", "\(sizes[0])", "\(path)/base"])
      try await fixture.bed.run(["chmod", "660", "\(path)/base"])
      let images: [(String, SharedImage.Format)] = [("base", .raw), ("middle", .qcow2), ("top", .qcow2)]
      for (index, (name, format)) in images.enumerated() {
        if index > 0 {
          let (behind, format) = images[index - 1]
          try await fixture.bed.run([
            "qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", behind, "-F", format.rawValue, "\(path)/\(name)",
            "\(sizes[index])",
          ])
        }
        var command = ["qemu-io", "-f", format.rawValue]
        for _ in 0..<12 {
          let start = Int64.random(in: 0..<sizes[index] / 4096, using: &dice) * 4096
          let count = min(Int64.random(in: 1...48, using: &dice) * 4096, sizes[index] - start)
          let way = ["-P \(Int.random(in: 1...255, using: &dice))", "-z", "-z -u"].randomElement(using: &dice)!
          command += ["-c", "write \(format == .raw && way == "-z -u" ? "-z" : way) \(start) \(count)"]
        }
        try await fixture.bed.run(command + ["\(path)/\(name)"])
      }
      let plain = fixture.bed.folder.file("plain")
      try await fixture.bed.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", "\(path)/top", plain])
      let expected = [UInt8](try Data(contentsOf: URL(filePath: plain)))

      let backend = try await fixture.open()
      let folder = try await backend.shares[0].access.folder()
      let layers = images.reversed().map { SharedImage.Layer(name: $0.0, format: $0.1) }
      let reader = try await ImageReader.open(layers, in: folder)
      var bytes: [UInt8] = []
      for piece in try await reader.pieces(in: 0..<sizes[2]) {
        #expect(piece.range.lowerBound == Int64(bytes.count))
        var part: [UInt8] = []
        if let source = piece.source { part = try await source.file.read(piece.range.count, at: source.offset) }
        bytes += part + [UInt8](repeating: 0, count: piece.range.count - part.count)
      }
      await reader.close()
      #expect(bytes == expected)

      try await folder.create("merged")
      let file = try await folder.open("merged")
      let pair = try await ImageReader.open(Array(layers.prefix(2)), in: folder, isWhole: false)
      var writer = QCOW2Writer(size: ByteCount(sizes[2]), backing: .init(name: "base", format: .raw))
      try await writer.append(try await pair.pieces(in: 0..<sizes[2]), until: sizes[2], to: file)
      let size = try await writer.finish(file)
      try await file.sync()
      try await file.close()
      await pair.close()
      try await folder.grow("merged", to: size, thick: false)
      try await fixture.bed.run(["qemu-img", "check", "-q", "-f", "qcow2", "\(path)/merged"])
      try await fixture.bed.run([
        "qemu-img", "compare", "-q", "-f", "qcow2", "-F", "qcow2", "\(path)/merged", "\(path)/top",
      ])
    }
  }

  @Test func whateverTablesSayTheyAreFollowedOrRefused() async throws {
    try await Bed.with { bed in
      let path = bed.folder.file("image")
      try await bed.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "2M"])
      try await bed.run(["qemu-io", "-f", "qcow2", "-c", "write -P 1 0 1M", "-c", "write -z 1M 256k", path])
      let good = [UInt8](try Data(contentsOf: URL(filePath: path)))
      let map = try await QCOW2Map.open(Bytes(content: good), of: "it")
      let table = Int(map.header.tableOffset)
      let second = Int(BigEndianReader(good).long(at: table)! & 0x00ff_ffff_ffff_fe00)
      var dice = SystemRandomNumberGenerator()
      var refused = 0
      for _ in 0..<3000 {
        var bytes = good
        for _ in 0..<Int.random(in: 1...3, using: &dice) {
          let place = [24, 36, table, second].randomElement(using: &dice)! + Int.random(in: 0..<16, using: &dice)
          bytes[place] = [0, 1, 0x40, 0x80, 0xff, .random(in: 0...255, using: &dice)].randomElement(using: &dice)!
        }
        if Int.random(in: 0..<10, using: &dice) == 0 {
          bytes = Array(bytes.prefix(.random(in: 0...bytes.count, using: &dice)))
        }
        do throws(StorageError) {
          let map = try await QCOW2Map.open(Bytes(content: bytes), of: "it")
          let end = min(map.header.size.bytes, 4 << 20)
          var position: Int64 = 0
          for run in try await map.runs(in: 0..<end) {
            #expect(run.range.lowerBound == position && !run.range.isEmpty)
            position = run.range.upperBound
            if case .data(let offset) = run.content { #expect(offset > 0) }
          }
          #expect(position == end)
        } catch {
          refused += 1
          #expect(error.code == .conflict, "\(error)")
        }
      }
      #expect(refused > 100 && refused < 2900)
    }
  }

  private struct Bytes: ShareFile {
    let content: [UInt8]

    func read(_ count: Int, at offset: Int64) async throws(StorageError) -> [UInt8] {
      Array(content.dropFirst(Int(min(offset, Int64(content.count)))).prefix(count))
    }
    func write(_ bytes: [UInt8], at offset: Int64) async throws(StorageError) {
      throw StorageError(.unsupported, "These bytes stay as they are.")
    }
    func sync() async throws(StorageError) {}
    func close() async throws(StorageError) {}
  }
}
