import Foundation
import PumiceModel
import TestBed
import Testing

extension ShareFleet {
  /// Returns when volumes can be made there: a pool is down until a report says that its server is back.
  func waitUntilUp() async throws {
    let path = "/v3/\(fleet.api.project)/scheduler-stats/get_pools?detail=true"
    try await eventually("the share is up") {
      try await fleet.api.get(path)["pools"].array.first?["capabilities"]["backend_state"].string == "up"
    }
  }

  func images(of volume: VolumeID) throws -> [String] { try images().filter { $0.hasPrefix("volume-\(volume)") } }

  /// The files that hold bytes of volumes.
  func images() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).filter { !$0.hasSuffix(".json") && !$0.hasPrefix(".") }
  }

  /// The sha256 of the first bytes of a volume that nobody has open: what one sees who believes the headers of its files.
  func sha256(of volume: VolumeID, count: ByteCount) async throws -> String {
    let description = try description(of: volume)
    let active = description["active"].string ?? ""
    let format = description["layers"].array.first { $0["name"].string == active }?["format"].string ?? ""
    let image = "\(folder)/\(active)"
    return String(
      try await fleet.bed.run(
        [
          "sh", "-c",
          #"""
          set -e
          trap 'rm -f "$3"' EXIT
          qemu-img dd -f "$1" -O raw bs=1M count="$4" if="$2" of="$3"
          sha256sum <"$3"
          """#, "sha256", format, image, fleet.bed.folder.file("plain-\(volume)"), "\(count.bytes >> 20)",
        ]
      ).prefix(64))
  }

  /// The images of a volume that nobody has open are as whole as qemu-img(1) wants them.
  func expectSoundImages(of volume: VolumeID, sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let description = try description(of: volume)
    #expect(description["step"] == .null, "\(description)", sourceLocation: sourceLocation)
    for layer in description["layers"].array where layer["format"].string == "qcow2" {
      let name = layer["name"].string ?? ""
      do { try await fleet.bed.run(["qemu-img", "check", "-f", "qcow2", "\(folder)/\(name)"]) } catch {
        Issue.record("\(error)", sourceLocation: sourceLocation)
      }
    }
  }

  private func description(of volume: VolumeID) throws -> JSON {
    let file = URL(fileURLWithPath: "\(folder)/volume-\(volume).json")
    return try JSONDecoder().decode(JSON.self, from: Data(contentsOf: file))
  }

  /// With no volume left, the share is as it was, and so is every part of the fleet.
  func expectNothingLeft(sourceLocation: SourceLocation = #_sourceLocation) async throws {
    try await eventually("nothing is left on the share", within: .seconds(60)) {
      let left = try FileManager.default.contentsOfDirectory(atPath: folder)
      guard left == [".pumice-owner"] else { throw TestBedFailure("There is \(left).") }
      return true
    }
    try await fleet.expectNothingLeft(sourceLocation: sourceLocation)
  }
}
