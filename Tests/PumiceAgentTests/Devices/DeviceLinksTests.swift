import Foundation
import PumiceModel
import TestBed
import Testing

@testable import PumiceAgent

struct DeviceLinksTests {
  private let id = VolumeID.random()

  private func withLinks(_ body: (DeviceLinks<Volume>, TemporaryFolder) throws -> Void) throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    try body(DeviceLinks(folder: folder.file("run/disks")), folder)
  }

  @Test func aLinkLeadsToTheDeviceUntilItIsRemoved() throws {
    try withLinks { links, _ in
      #expect(links.destination(of: id) == nil)
      for device in ["/dev/sda", "/dev/sdb", "/dev/sdb"] {
        try links.point(id, to: device)
        #expect(links.destination(of: id) == device)
      }
      #expect(links.all() == [id: "/dev/sdb"])
      for _ in 0..<2 { try links.remove(id) }
      #expect(links.all().isEmpty)
    }
  }

  @Test func whatACrashHasLeftIsNoLinkAndInNobodysWay() throws {
    try withLinks { links, folder in
      try links.prepare()
      try FileManager.default.createSymbolicLink(
        atPath: folder.file("run/disks/.\(id)"), withDestinationPath: "/dev/sdz")
      #expect(links.all().isEmpty)
      try links.point(id, to: "/dev/sda")
      #expect(links.all() == [id: "/dev/sda"])
    }
  }

  @Test func aFolderThatOthersMayWriteToIsRefused() throws {
    try withLinks { links, folder in
      try folder.folder("run/disks")
      try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: links.folder)
      #expect(throws: StorageError.self) { try links.point(id, to: "/dev/sda") }
    }
  }

  @Test func aFolderThatIsALinkIsRefused() throws {
    try withLinks { links, folder in
      try folder.folder("elsewhere")
      try folder.folder("run")
      try FileManager.default.createSymbolicLink(
        atPath: links.folder, withDestinationPath: folder.file("elsewhere"))
      let error = #expect(throws: StorageError.self) { try links.point(id, to: "/dev/sda") }
      #expect(error?.code == .forbidden)
    }
  }
}
