import CLibvirt
import FoundationEssentials
import Glibc
import PumiceModel

/// Orders to a domain's QEMU past libvirt (qemu-qmp-ref(7)). libvirt marks the domain as tainted for it, in its log.
extension DomainHandle {
  private struct Order<Arguments: Encodable>: Encodable {
    let execute: String
    let arguments: Arguments
  }

  private struct Answer<Value: Decodable>: Decodable {
    struct Refusal: Decodable {
      let desc: String
    }
    let `return`: Value?
    let error: Refusal?
  }

  struct Nothing: Decodable {}

  private struct Property: Decodable {
    let name: String
  }

  /// The ids of the devices that QEMU has, those without an id left out; `nil` when the domain has no QEMU that runs.
  func peripherals(_ attempt: String) throws(StorageError) -> Set<String>? {
    try whileItRuns { () throws(StorageError) in
      let list = try order("qom-list", ["path": "/machine/peripheral"], of: [Property].self, attempt)
      return Set((list ?? []).map(\.name))
    }
  }

  /// `nil` when the domain has no QEMU that runs, or has none any more.
  func whileItRuns<Value>(_ orders: () throws(StorageError) -> Value) throws(StorageError) -> Value? {
    guard virDomainIsActive(pointer) == 1 else { return nil }
    do throws(StorageError) {
      return try orders()
    } catch {
      guard virDomainIsActive(pointer) == 1, error.code != .unsupported else { return nil }
      throw error
    }
  }

  /// The block node behind a disk.
  func drive(of device: String, _ attempt: String) throws(StorageError) -> String? {
    try order(
      "qom-get", ["path": "/machine/peripheral/\(device)", "property": "drive"], of: String.self, attempt)
  }

  /// Asks the guest to let go of a device. Content when it has been asked already.
  func requestRemoval(ofDevice device: String, _ attempt: String) throws(StorageError) {
    do throws(StorageError) {
      _ = try order("device_del", ["id": device], of: Nothing.self, attempt)
    } catch {
      guard error.message.contains("in the process of unplug") || error.message.contains("not found") else {
        throw error
      }
    }
  }

  /// Closes what libvirt opened as its source number `number`: format, storage and secret, those that are there.
  func closeSource(_ number: Int, _ attempt: String) {
    for node in ["libvirt-\(number)-format", "libvirt-\(number)-storage"] {
      _ = try? order("blockdev-del", ["node-name": node], of: Nothing.self, attempt)
    }
    _ = try? order("object-del", ["id": "libvirt-\(number)-storage-auth-secret0"], of: Nothing.self, attempt)
  }

  /// What QEMU returned; throws `failed` with its words when it refused.
  func order<Arguments: Encodable, Value: Decodable>(
    _ command: String, _ arguments: Arguments, of type: Value.Type, _ attempt: String
  ) throws(StorageError) -> Value? {
    let text: String
    do {
      text = String(decoding: try JSONEncoder().encode(Order(execute: command, arguments: arguments)), as: UTF8.self)
    } catch {
      throw StorageError.wrap(error, attempt)
    }
    var result: UnsafeMutablePointer<CChar>?
    guard virDomainQemuMonitorCommand(pointer, text, &result, 0) == 0, let result else {
      throw LibvirtError().storageError(attempt)
    }
    defer { free(result) }
    let answer: Answer<Value>
    do {
      answer = try JSONDecoder().decode(Answer<Value>.self, from: Data(String(cString: result).utf8))
    } catch {
      throw StorageError.wrap(error, "\(attempt): reading QEMU's answer to \(command)")
    }
    if let refusal = answer.error {
      throw StorageError(.failed, "\(attempt) failed: QEMU's \(command) says: \(refusal.desc).")
    }
    return answer.return
  }
}
