import Foundation
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

/// Against QEMU's own tools.
struct QCOW2HeaderTests {
  @Test(arguments: [ByteCount.mebibytes(1), .gibibytes(100), .gibibytes(40 << 10)])
  func aNewImageIsWhatQEMUTakesItFor(_ size: ByteCount) async throws {
    try await Bed.with { bed in
      let base = bed.folder.file("base")
      try await bed.run(["truncate", "-s", "1M", base])
      for backing in [nil, QCOW2Header.Backing(name: "base", format: .raw)] {
        let image = try write(QCOW2Header(size: size, backing: backing), to: bed.folder.file("image"))
        try await bed.run(["qemu-img", "check", "-q", "-f", "qcow2", image])
        let info = try await information(image, in: bed)
        #expect(info["virtual-size"] as? Int64 == size.bytes)
        #expect(info["backing-filename"] as? String == backing?.name)
        #expect(info["backing-filename-format"] as? String == backing?.format.rawValue)
        #expect(try header(of: image) == QCOW2Header(size: size, backing: backing))
      }
    }
  }

  @Test func itGrowsAndChangesWhatIsBehindItByItsHeaderAlone() async throws {
    try await Bed.with { bed in
      for name in ["base", "other"] { try await bed.run(["truncate", "-s", "8M", bed.folder.file(name)]) }
      let image = try write(
        QCOW2Header(size: .mebibytes(8), backing: .init(name: "base", format: .raw)), to: bed.folder.file("image"))
      try await bed.run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 1M", image])
      // QEMU has a longer header than ours.
      try await bed.run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "raw", "-b", "other", image])
      var header = try header(of: image)
      #expect(header.backing == .init(name: "other", format: .raw))
      header.size = .gibibytes(3)
      header.backing = .init(name: "base", format: .raw)
      let file = try FileHandle(forUpdating: URL(filePath: image))
      try file.write(contentsOf: header.encoded)
      try file.close()

      try await bed.run(["qemu-img", "check", "-q", "-f", "qcow2", image])
      #expect(try self.header(of: image) == header)
      #expect(try await information(image, in: bed)["backing-filename"] as? String == "base")
      let shown = try await bed.run(["qemu-io", "-f", "qcow2", "-c", "read -P 7 1M 1M", "-c", "read -P 0 2G 1M", image])
      #expect(!shown.contains("failed"))
      try await bed.run(["qemu-io", "-f", "qcow2", "-c", "write -P 9 2G 1M", image])
      try await bed.run(["qemu-img", "check", "-q", "-f", "qcow2", image])
    }
  }

  /// What a guest could have written where it should not, or somebody else made: CVE-2014-3641, CVE-2015-1851, CVE-2024-32498.
  @Test(arguments: [
    ("create -f qcow2 -o data_file=other,data_file_raw=on IMAGE 1M", "another file"),
    ("create -f qcow2 -o compat=0.10 IMAGE 1M", "version is 2"),
    ("create -f qcow2 -o extended_l2=on IMAGE 1M", "not allowed"),
    ("create -f qcow2 -o compression_type=zstd IMAGE 1M", "not allowed"),
    ("create -f qcow2 -u -b /etc/passwd -F vmdk IMAGE 1M", "vmdk"),
    (
      "create -f qcow2 --object secret,id=s,data=1 -o encrypt.format=aes,encrypt.key-secret=s IMAGE 1M",
      "encrypted"
    ),
    ("create -f raw IMAGE 1M", "does not begin"), ("create -f vmdk IMAGE 1M", "does not begin"),
  ]) func anImageThatIsNotOneOfOursIsRefused(_ command: String, _ reason: String) async throws {
    try await Bed.with { bed in
      let image = bed.folder.file("image")
      let words = command.split(separator: " ").map { word in
        word == "IMAGE"
          ? image : String(word).replacing("data_file=other", with: "data_file=\(bed.folder.file("other"))")
      }
      try await bed.run(["qemu-img"] + words)
      let error = #expect(throws: StorageError.self) { try header(of: image) }
      #expect(error?.code == .conflict)
      #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
    }
  }

  @Test func whateverTheBytesSayItIsReadOrRefused() throws {
    let good = QCOW2Header(size: .gibibytes(1), backing: .init(name: "base", format: .qcow2)).encoded
    var dice = SystemRandomNumberGenerator()
    for _ in 0..<20_000 {
      var bytes = good
      for _ in 0..<Int.random(in: 1...6, using: &dice) {
        bytes[Int.random(in: 4..<bytes.count, using: &dice)] = [0, 0xff, 1, .random(in: 0...255, using: &dice)]
          .randomElement(
            using: &dice)!
      }
      if Bool.random(using: &dice) { bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &dice))) }
      do throws(StorageError) {
        let header = try QCOW2Header(bytes, of: "it")
        #expect(header.size > .zero && header.size <= header.reach, "\(bytes)")
        #expect(try QCOW2Header(header.encoded, of: "it") == header, "\(bytes)")
      } catch {
        #expect(error.code == .conflict, "\(error): \(bytes)")
      }
    }
  }

  private func write(_ header: QCOW2Header, to path: String) throws -> String {
    let file = header.emptyFile
    try Data(file.bytes).write(to: URL(filePath: path))
    guard truncate(path, Int(file.size.bytes)) == 0 else { throw TestBedFailure("\(path) can't be made longer.") }
    return path
  }

  private func header(of path: String) throws -> QCOW2Header {
    let file = try FileHandle(forReadingFrom: URL(filePath: path))
    defer { try? file.close() }
    return try QCOW2Header(Array(try file.read(upToCount: QCOW2Header.readLength) ?? Data()), of: path)
  }

  private func information(_ image: String, in bed: Bed) async throws -> [String: Any] {
    let shown = try await bed.run(["qemu-img", "info", "--output=json", "-f", "qcow2", image])
    return try JSONSerialization.jsonObject(with: Data(shown.utf8)) as? [String: Any] ?? [:]
  }
}
