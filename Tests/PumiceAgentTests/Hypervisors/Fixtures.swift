import Foundation
import Logging
import PumiceAgent
import PumiceModel
import PumiceWire

/// Domain XML as libvirt wrote it: `domain-live.xml`, `domain-live-with-iscsi.xml`, `domain-inactive-with-iscsi.xml`.
func domainFixture(_ name: String, file: String = #filePath) throws -> String {
  let folder = URL(filePath: file).deletingLastPathComponent().appending(path: "Fixtures")
  return try String(contentsOf: folder.appending(path: name), encoding: .utf8)
}

extension Disk {
  static func make(
    attachment: AttachmentID = .random(), volume: VolumeID = .random(), source: DiskSource = .make(),
    device: String? = nil, readOnly: Bool = false, isShareable: Bool = false, limits: DiskLimits? = nil
  ) -> Disk {
    Disk(
      attachment: attachment, volume: volume, source: source, device: device, readOnly: readOnly,
      isShareable: isShareable, limits: limits)
  }
}

extension DiskSource {
  /// A raw file of this node.
  static func file(path: String) -> DiskSource { .image(DiskImage([.init(.file(path: path), .raw)])) }

  static func make(
    portal: String = "10.0.0.1:3260", iqn: String = "iqn.2026-01.org.example:volume-1",
    user: String = "u", secret: String = "a long secret"
  ) -> DiskSource {
    .iscsi(
      portal: portal, iqn: iqn, lun: 1, initiator: "iqn.2026-01.org.example:node-1", chapUser: user,
      chapSecret: secret)
  }
}

extension Logger {
  static var silent: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}
