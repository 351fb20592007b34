import Foundation
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

extension LayerYard {
  /// Fills the disk and goes on writing pieces here and there, each of them durably, and to a mirror in its memory first.
  func startWriting(to disk: Guest.Disk) async throws {
    try await guest.run(
      """
      set -e
      dd if=/dev/urandom of=/tmp/mirror bs=1M count=\(Self.size.bytes >> 20) 2>/dev/null
      dd if=/tmp/mirror of=/dev/\(disk.name) bs=1M conv=notrunc,fsync 2>/dev/null
      touch /tmp/writing
      (
        i=0
        while [ -e /tmp/writing ]; do
          dd if=/dev/urandom of=/tmp/piece bs=64k count=1
          at=$((i % \(Self.size.bytes >> 16)))
          dd if=/tmp/piece of=/tmp/mirror bs=64k seek=$at conv=notrunc
          dd if=/tmp/piece of=/dev/\(disk.name) bs=64k seek=$at conv=notrunc,fsync || echo $i >>/tmp/lost
          i=$((i + 37))
          echo $((i / 37)) >/tmp/.count && mv /tmp/.count /tmp/count
        done
        touch /tmp/written
      ) >/dev/null 2>&1 &
      """, within: .seconds(120))
    try await waitForWrites()
  }

  func writes() async throws -> Int {
    Int(try await guest.run("cat /tmp/count 2>/dev/null || echo 0").trimmingCharacters(in: .whitespacesAndNewlines))
      ?? 0
  }

  func waitForWrites() async throws {
    let before = try await writes()
    try await eventually("the guest goes on writing", within: .seconds(60)) { try await writes() >= before + 20 }
  }

  func stopWriting() async throws {
    try await guest.run("rm /tmp/writing; while [ ! -e /tmp/written ]; do sleep 0.1; done; [ ! -e /tmp/lost ]")
  }

  /// The guest, past its cache, and the files themselves have what was written.
  func expectWhatWasWritten(
    to disk: Disk, in image: DiskImage, _ location: SourceLocation = #_sourceLocation
  ) async throws {
    let mirror = try await guest.run("sha256sum </tmp/mirror").prefix(64)
    let seen = try #require(try await guest.disk(of: disk.volume), sourceLocation: location)
    #expect(try await guest.sha256(of: seen, count: Self.size) == mirror, sourceLocation: location)
    #expect(try await hash(of: image) == mirror, sourceLocation: location)
  }
}
