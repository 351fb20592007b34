import CLibvirt
public import PumiceModel

/// Through the QEMU guest agent (qemu-ga(8)) in the guest.
///
/// What the agent freezes stays so until it is told otherwise, and while it does, it obeys little else; it thaws everything
/// again when one of several file systems refuses. See `guest-fsfreeze-freeze` in QEMU's qga/qapi-schema.json.
extension LibvirtHypervisor: QuiescingHypervisor {
  public func freeze(_ instance: InstanceID, within limit: Duration) async throws(StorageError) -> Int {
    let attempt = "Freezing the file systems of instance \(instance)"
    let seconds = Int32(clamping: max(1, limit.components.seconds))
    return try await connection.call(attempt) { session throws(StorageError) in
      let domain = try Self.runningDomain(instance, in: session, attempt)
      return try domain.withAgentTimeout(seconds) { () throws(StorageError) in
        let count = virDomainFSFreeze(domain.pointer, nil, 0, 0)
        guard count >= 0 else {
          let error = LibvirtError()
          if error.saysThatThereIsNoGuestAgent {
            throw StorageError(.unsupported, "\(attempt) failed: \(error.message)", cause: error)
          }
          throw error.storageError(attempt)
        }
        return Int(count)
      }
    }
  }

  public func thaw(_ instance: InstanceID) async throws(StorageError) -> Int {
    let attempt = "Thawing the file systems of instance \(instance)"
    return try await connection.call(attempt) { session throws(StorageError) in
      let domain = try Self.runningDomain(instance, in: session, attempt)
      // A thaw writes nothing: a guest that does not do it in this time hangs, and is asked again.
      return try domain.withAgentTimeout(10) { () throws(StorageError) in
        let count = virDomainFSThaw(domain.pointer, nil, 0, 0)
        guard count >= 0 else { throw LibvirtError().storageError(attempt) }
        return Int(count)
      }
    }
  }

  private static func runningDomain(
    _ instance: InstanceID, in session: LibvirtSession, _ attempt: String
  ) throws(StorageError) -> DomainHandle {
    guard let domain = try session.domain(instance, attempt) else {
      throw StorageError(.notFound, "\(attempt) failed: libvirt has no such domain.")
    }
    guard virDomainIsActive(domain.pointer) == 1 else {
      throw StorageError(.conflict, "\(attempt) failed: it does not run.")
    }
    return domain
  }
}

extension DomainHandle {
  /// libvirt waits for ever for a guest agent unless it is told otherwise, and it keeps what it is told with the domain:
  /// for others the wait is as it was.
  fileprivate func withAgentTimeout<Value>(
    _ seconds: Int32, _ body: () throws(StorageError) -> Value
  ) throws(StorageError) -> Value {
    _ = virDomainAgentSetResponseTimeout(pointer, seconds, 0)
    defer {
      _ = virDomainAgentSetResponseTimeout(pointer, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK.rawValue, 0)
      virResetLastError()
    }
    virResetLastError()
    return try body()
  }
}

extension LibvirtError {
  /// Whether the guest was not asked at all: the domain has no channel for an agent, or nobody listens at its other end.
  fileprivate var saysThatThereIsNoGuestAgent: Bool {
    message.contains("agent is not configured") || message.contains("agent is not connected")
  }
}
