import Foundation
import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

@Suite struct DiskLimitsXMLTests {
  private let target = DiskTarget(name: "vdc", bus: .virtio)

  @Test func aDiskSaysItsLimits() throws {
    let limits = try DiskLimits([
      .totalBytes: 1_048_576, .readOperations: 100, .readOperationsBurst: 200, .readOperationsBurstLength: 10,
      .operationSize: 4096,
    ])
    let disk = Disk.make(limits: limits)
    let built = try DiskXML(disk, at: target)
    // As libvirt will see it.
    let read = DiskXML(try XMLElement(parsing: built.element.serialized(), as: "The disk"))
    let tuning = try #require(read.element.first("iotune"))
    #expect(
      tuning.elements.map { "\($0.name)=\($0.text)" } == [
        "total_bytes_sec=1048576", "read_iops_sec=100", "read_iops_sec_max=200", "read_iops_sec_max_length=10",
        "size_iops_sec=4096",
      ])
    #expect(read.limits == limits.values)
    #expect(try read.difference(from: disk) == nil)
  }

  @Test func aDiskWithoutLimitsSaysNothing() throws {
    #expect(try DiskXML(.make(), at: target).element.first("iotune") == nil)
    #expect(try DiskXML(.make(limits: DiskLimits([:])), at: target).element.first("iotune") == nil)
  }

  @Test func anotherLimitIsNoticed() throws {
    let disk = Disk.make(limits: try DiskLimits([.totalOperations: 5]))
    let other = Disk.make(
      attachment: disk.attachment, volume: disk.volume, source: disk.source,
      limits: try DiskLimits([.totalOperations: 6]))
    let none = Disk.make(attachment: disk.attachment, volume: disk.volume, source: disk.source)
    let xml = try DiskXML(disk, at: target)
    #expect(try xml.difference(from: other)?.contains("total_iops_sec") == true)
    #expect(try xml.difference(from: none)?.contains("total_iops_sec") == true)
    #expect(try DiskXML(none, at: target).difference(from: disk)?.contains("total_iops_sec") == true)
  }

  @Test func whatLibvirtAddsIsNoDifference() throws {
    let disk = Disk.make(limits: try DiskLimits([.totalOperations: 5, .totalOperationsBurst: 9]))
    var element = try DiskXML(disk, at: target).element
    for (index, node) in element.children.enumerated() {
      guard case .element(var tuning) = node, tuning.name == "iotune" else { continue }
      tuning.children += [
        .element(XMLElement("total_iops_sec_max_length", text: "1")), .element(XMLElement("group_name", text: "g")),
      ]
      element.children[index] = .element(tuning)
    }
    #expect(element != (try DiskXML(disk, at: target).element))
    #expect(try DiskXML(element).difference(from: disk) == nil)
  }

  @Test func ordersFromBeforeThereWereLimitsAreRead() throws {
    let order = ConnectionRequest(
      revision: 1, volume: .random(), instance: .random(), size: .gibibytes(1),
      target: ExportedTarget(portals: ["p"], iqn: "i", lun: 1, initiator: "i", chapUser: "u", chapSecret: "s"))
    let json = try JSONEncoder().encode(order)
    #expect(!String(decoding: json, as: UTF8.self).contains("limits"))
    #expect(try JSONDecoder().decode(ConnectionRequest.self, from: json) == order)
    var limited = order
    limited.limits = try DiskLimits([.readBytes: 1])
    #expect(try JSONDecoder().decode(ConnectionRequest.self, from: JSONEncoder().encode(limited)) == limited)
  }
}
