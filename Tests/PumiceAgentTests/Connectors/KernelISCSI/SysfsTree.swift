import Foundation
import PumiceModel
import TestBed

@testable import PumiceAgent

/// A sysfs of a test's own, as Linux 6.1 lays it out for iscsi_tcp.
final class SysfsTree: Sendable {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }
  deinit { folder.remove() }

  var sysfs: Sysfs { Sysfs(folder.path) }
  var view: KernelView { KernelView(reading: sysfs) }

  func addSession(
    _ number: Int, host: Int, target: String, initiator: String = "iqn.2026-11.test:n1", interface: String,
    state: String = "LOGGED_IN", portal: String = "10.0.0.7", port: Int = 3260
  ) throws {
    let device = "devices/platform/host\(host)/session\(number)"
    let session = "\(device)/iscsi_session/session\(number)"
    try write(
      [
        "targetname": target, "initiatorname": initiator, "ifacename": interface, "state": state, "recovery_tmo": "120",
      ], to: session)
    try link("class/iscsi_session/session\(number)", to: session)
    try link("\(session)/device", to: device)
    let connection = "\(device)/connection\(number):0/iscsi_connection/connection\(number):0"
    try write(["persistent_address": portal, "persistent_port": "\(port)"], to: connection)
    try link("class/iscsi_connection/connection\(number):0", to: connection)
  }

  func addDisk(
    _ name: String, number: String = "8:0", of session: Int, host: Int, lun: Int = 1, state: String = "running",
    size: ByteCount = .mebibytes(8), serial: String? = nil, holders: [String] = []
  ) throws {
    let unit = "devices/platform/host\(host)/session\(session)/target\(host):0:0/\(host):0:0:\(lun)"
    try write(["state": "\(state)"], to: unit)
    let disk = "\(unit)/block/\(name)"
    try write(["dev": number, "size": "\(size.bytes / 512)"], to: disk)
    try write(["dev": "8:99"], to: "\(disk)/\(name)1")
    try link("\(disk)/device", to: unit)
    try link("block/\(name)", to: disk)
    try folder.folder("\(disk)/holders")
    for holder in holders { try write([:], to: "\(disk)/holders/\(holder)") }
    guard let serial else { return }
    let page = [0, 0x80, 0, UInt8(serial.utf8.count)] + Array(serial.utf8)
    try Data(page).write(to: URL(fileURLWithPath: folder.file("\(unit)/vpd_pg80")))
  }

  func addMap(_ name: String, label: String, uuid: String, parts: [String], holders: [String] = []) throws {
    try write(["dev": "253:0", "size": "16384", "dm/uuid": uuid, "dm/name": label], to: "block/\(name)")
    for part in parts { try write([:], to: "block/\(name)/slaves/\(part)") }
    for holder in holders { try write([:], to: "block/\(name)/holders/\(holder)") }
  }

  func remove(_ path: String) throws { try FileManager.default.removeItem(atPath: folder.file(path)) }

  private func write(_ attributes: [String: String], to path: String) throws {
    try folder.folder(path)
    for (name, value) in attributes {
      let file = "\(path)/\(name)"
      try folder.folder((file as NSString).deletingLastPathComponent)
      try folder.write("\(value)\n", to: file)
    }
  }

  private func link(_ path: String, to destination: String) throws {
    try folder.folder((path as NSString).deletingLastPathComponent)
    try FileManager.default.createSymbolicLink(
      atPath: folder.file(path), withDestinationPath: folder.file(destination))
  }
}
