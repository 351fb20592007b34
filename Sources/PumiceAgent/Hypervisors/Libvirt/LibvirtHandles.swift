import CLibvirt
import Glibc
import PumiceModel

/// A reference to a domain, given back at the end of its life.
struct DomainHandle: ~Copyable {
  let pointer: virDomainPtr

  /// Takes over a reference that libvirt handed out.
  init(owning pointer: virDomainPtr) { self.pointer = pointer }

  deinit { virDomainFree(pointer) }

  var id: InstanceID? { InstanceID(of: pointer) }

  /// Its configurations, read anew.
  func state(_ attempt: String) throws(StorageError) -> DomainState {
    let first = try DomainXML(xml(flags: 0, attempt))
    let isPersistent = virDomainIsPersistent(pointer)
    guard isPersistent >= 0 else { throw LibvirtError().storageError(attempt) }
    let live = first.isLive ? first : nil
    guard isPersistent == 1 else { return DomainState(live: live, stored: nil) }
    guard live != nil else { return DomainState(live: nil, stored: first) }
    return DomainState(live: live, stored: try DomainXML(xml(flags: VIR_DOMAIN_XML_INACTIVE.rawValue, attempt)))
  }

  private func xml(flags: UInt32, _ attempt: String) throws(StorageError) -> String {
    guard let text = virDomainGetXMLDesc(pointer, flags) else { throw LibvirtError().storageError(attempt) }
    defer { free(text) }
    return String(cString: text)
  }
}

/// A reference to a secret, given back at the end of its life.
struct SecretHandle: ~Copyable {
  let pointer: virSecretPtr

  init(owning pointer: virSecretPtr) { self.pointer = pointer }

  deinit { virSecretFree(pointer) }
}

extension InstanceID {
  /// The UUID of a domain, which libvirt keeps in the reference: no call to the daemon.
  init?(of domain: virDomainPtr?) {
    var bytes: (UInt64, UInt64) = (0, 0)
    let isRead = withUnsafeMutableBytes(of: &bytes) { buffer in
      virDomainGetUUID(domain, buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)) == 0
    }
    guard isRead else { return nil }
    self.init(high: UInt64(bigEndian: bytes.0), low: UInt64(bigEndian: bytes.1))
  }
}
