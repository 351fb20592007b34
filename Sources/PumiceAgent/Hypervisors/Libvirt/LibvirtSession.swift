import CLibvirt
import Glibc
import PumiceModel

/// One open connection to libvirtd, with its events registered. Closes itself, on libvirt's threads, at the end of its
/// life.
///
/// Its methods block: only code that runs on `LibvirtThreads` uses them.
final class LibvirtSession: Sendable {
  /// libvirt counts references and locks by itself, so that any thread may use a connection at any time; Swift can't
  /// know.
  private struct Handle: @unchecked Sendable { let pointer: virConnectPtr }

  private let handle: Handle
  private let registrations: LibvirtEvents.Registrations

  init(uri: String, events: LibvirtEvents) throws(StorageError) {
    let attempt = "Connecting to libvirt at \(uri)"
    LibvirtEventLoop.hold()
    guard let pointer = virConnectOpen(uri) else {
      let error = LibvirtError()
      LibvirtEventLoop.release()
      throw error.storageError(attempt)
    }
    handle = Handle(pointer: pointer)
    registrations = events.register(with: pointer)
    guard registrations.areComplete else { throw LibvirtError().storageError(attempt) }
    // Without its answer for 25 s the daemon counts as gone, and calls that wait for it fail.
    virConnectSetKeepAlive(pointer, 5, 5)
  }

  deinit {
    let (handle, registrations) = (handle, registrations)
    LibvirtThreads.beginCall {
      LibvirtEvents.unregister(registrations, from: handle.pointer)
      virConnectClose(handle.pointer)
      LibvirtEventLoop.release()
    }
  }

  var isAlive: Bool { virConnectIsAlive(handle.pointer) == 1 }

  // MARK: Domains

  /// The domain, or `nil` if there is none.
  func domain(_ id: InstanceID, _ attempt: String) throws(StorageError) -> DomainHandle? {
    guard let pointer = virDomainLookupByUUIDString(handle.pointer, id.description) else {
      let error = LibvirtError()
      if error.isAbsence { return nil }
      throw error.storageError(attempt)
    }
    return DomainHandle(owning: pointer)
  }

  /// Calls `body` for every domain that `flags` (`virConnectListAllDomainsFlags`) let through, all if 0. A domain that
  /// goes meanwhile is left out.
  func forEachDomain(
    flags: UInt32 = 0, _ attempt: String, _ body: (borrowing DomainHandle) throws(StorageError) -> Void
  ) throws(StorageError) {
    var list: UnsafeMutablePointer<virDomainPtr?>?
    let count = virConnectListAllDomains(handle.pointer, &list, flags)
    guard count >= 0, let list else { throw LibvirtError().storageError(attempt) }
    defer { free(list) }
    var failure: StorageError?
    for index in 0..<Int(count) {
      guard let pointer = list[index] else { continue }
      let domain = DomainHandle(owning: pointer)  // Even after a failure: each has to be given back.
      guard failure == nil else { continue }
      do { try body(domain) } catch  where error.code == .notFound {} catch { failure = error }
    }
    if let failure { throw failure }
  }

  // MARK: Secrets

  /// When it returns, libvirt has this attachment's CHAP secret with this value. Harmless when repeated.
  func defineSecret(_ value: String, of attachment: AttachmentID) throws(StorageError) {
    let attempt = "Giving libvirt the CHAP secret of attachment \(attachment)"
    let xml = try SecretXML.element(for: attachment).serialized()
    guard let pointer = virSecretDefineXML(handle.pointer, xml, 0) else { throw LibvirtError().storageError(attempt) }
    let secret = SecretHandle(owning: pointer)
    var value = value
    let result = value.withUTF8 { virSecretSetValue(secret.pointer, $0.baseAddress, $0.count, 0) }
    guard result == 0 else { throw LibvirtError().storageError(attempt) }
  }

  /// When it returns, libvirt has no secret of this attachment. Content when there was none.
  func removeSecret(of attachment: AttachmentID) throws(StorageError) {
    let attempt = "Taking the CHAP secret of attachment \(attachment) from libvirt"
    guard let pointer = virSecretLookupByUUIDString(handle.pointer, SecretXML.uuid(of: attachment)) else {
      let error = LibvirtError()
      if error.isAbsence { return }
      throw error.storageError(attempt)
    }
    let secret = SecretHandle(owning: pointer)
    guard virSecretUndefine(secret.pointer) == 0 else {
      let error = LibvirtError()
      if error.isAbsence { return }
      throw error.storageError(attempt)
    }
  }
}
