import CLibvirt
import PumiceModel

/// Where libvirt's callbacks arrive. They run on the event loop's thread and only pass on what they were told.
final class LibvirtEvents: Sendable {
  let hub = HypervisorEventHub()
  let removals = RemovalWatch()
  /// One element after a connection broke, however often it did.
  let breaks: AsyncStream<Void>
  private let broken: AsyncStream<Void>.Continuation

  init() {
    (breaks, broken) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
  }

  deinit { broken.finish() }

  /// Asks for the events of a connection. The numbers are for `unregister`; a negative one is a failure.
  func register(with connection: virConnectPtr) -> [Int32] {
    let lifecycle: virConnectDomainEventCallback = lifecycleChanged
    let removed: virConnectDomainEventDeviceRemovedCallback = deviceRemoved
    let removalFailed: virConnectDomainEventDeviceRemovalFailedCallback = deviceRemovalFailed
    let ioError: virConnectDomainEventIOErrorReasonCallback = inputOutputFailed
    // libvirt takes callbacks of many kinds through one parameter, told apart by the event's number: C's cast.
    let kinds: [(virDomainEventID, virConnectDomainEventGenericCallback)] = [
      (VIR_DOMAIN_EVENT_ID_LIFECYCLE, unsafeBitCast(lifecycle, to: virConnectDomainEventGenericCallback.self)),
      (VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, unsafeBitCast(removed, to: virConnectDomainEventGenericCallback.self)),
      (
        VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED,
        unsafeBitCast(removalFailed, to: virConnectDomainEventGenericCallback.self)
      ),
      (VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, unsafeBitCast(ioError, to: virConnectDomainEventGenericCallback.self)),
    ]
    let registrations = kinds.map { id, callback in
      let box = Unmanaged.passRetained(self).toOpaque()
      let registration = virConnectDomainEventRegisterAny(connection, nil, Int32(id.rawValue), callback, box, forget)
      if registration < 0 { forget(box) }
      return registration
    }
    let box = Unmanaged.passRetained(self).toOpaque()
    if virConnectRegisterCloseCallback(connection, connectionClosed, box, forget) < 0 { forget(box) }
    return registrations
  }

  /// Undoes `register`, after which libvirt holds this object no more. Blocks.
  static func unregister(_ registrations: [Int32], from connection: virConnectPtr) {
    for registration in registrations where registration >= 0 {
      virConnectDomainEventDeregisterAny(connection, registration)
    }
    virConnectUnregisterCloseCallback(connection, connectionClosed)
  }

  fileprivate func noteBreak() { broken.yield() }

  fileprivate static func from(_ box: UnsafeMutableRawPointer?) -> LibvirtEvents? {
    box.map { Unmanaged<LibvirtEvents>.fromOpaque($0).takeUnretainedValue() }
  }
}

// File-scope functions, since libvirt calls them on its thread.

private func lifecycleChanged(
  _: virConnectPtr?, _ domain: virDomainPtr?, _ event: Int32, _ detail: Int32, _ box: UnsafeMutableRawPointer?
) -> Int32 {
  if let id = InstanceID(of: domain) { LibvirtEvents.from(box)?.hub.send(.lifecycle(id)) }
  return 0
}

private func deviceRemoved(
  _: virConnectPtr?, _ domain: virDomainPtr?, _ alias: UnsafePointer<CChar>?, _ box: UnsafeMutableRawPointer?
) {
  guard let (instance, attachment) = disk(domain, alias), let events = LibvirtEvents.from(box) else { return }
  events.removals.note(.removed, attachment)
  events.hub.send(.diskRemoved(attachment, instance))
}

private func deviceRemovalFailed(
  _: virConnectPtr?, _ domain: virDomainPtr?, _ alias: UnsafePointer<CChar>?, _ box: UnsafeMutableRawPointer?
) {
  guard let (instance, attachment) = disk(domain, alias), let events = LibvirtEvents.from(box) else { return }
  events.removals.note(.refused, attachment)
  events.hub.send(.diskRemovalFailed(attachment, instance))
}

private func inputOutputFailed(
  _: virConnectPtr?, _ domain: virDomainPtr?, _ path: UnsafePointer<CChar>?, _ alias: UnsafePointer<CChar>?,
  _ action: Int32, _ reason: UnsafePointer<CChar>?, _ box: UnsafeMutableRawPointer?
) {
  guard let instance = InstanceID(of: domain) else { return }
  let (device, reason) = (alias.map { String(cString: $0) } ?? "", reason.map { String(cString: $0) } ?? "")
  LibvirtEvents.from(box)?.hub.send(.ioError(instance, device: device, reason: reason))
}

private func connectionClosed(_: virConnectPtr?, _ reason: Int32, _ box: UnsafeMutableRawPointer?) {
  LibvirtEvents.from(box)?.noteBreak()
}

private func forget(_ box: UnsafeMutableRawPointer?) {
  if let box { Unmanaged<LibvirtEvents>.fromOpaque(box).release() }
}

private func disk(_ domain: virDomainPtr?, _ alias: UnsafePointer<CChar>?) -> (InstanceID, AttachmentID)? {
  guard let instance = InstanceID(of: domain), let alias,
    let attachment = DiskXML.attachment(ofAlias: String(cString: alias))
  else { return nil }
  return (instance, attachment)
}
