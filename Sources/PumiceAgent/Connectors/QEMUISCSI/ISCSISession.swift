private import CLibiscsi
import Glibc
package import PumiceModel

/// One login to one target, through libiscsi, as QEMU does it. Every call blocks: use it inside `BlockingCalls`.
///
/// It does not come back by itself when the target ends it. Let it go, and it logs out.
package struct ISCSISession: ~Copyable {
  package struct Address: Sendable, Equatable {
    /// `host:port`.
    package let portal: String
    package let iqn: String
    package let lun: Int

    package init(portal: String, iqn: String, lun: Int) {
      self.portal = portal
      self.iqn = iqn
      self.lun = lun
    }
  }

  private let context: OpaquePointer
  /// Where libiscsi's callback writes how the login ended. It may come again later, so this lives as long as the context.
  private let outcome: UnsafeMutablePointer<LoginOutcome>
  private let address: Address
  private let commands: ISCSICommands
  /// Whether libiscsi and the target no longer agree on what is under way, so that only hanging up is left.
  private var isHijacked = false

  /// Logs in. Without `user` it offers no CHAP.
  ///
  /// Throws `forbidden` for a wrong secret or initiator, `notFound` without such a target, `timeout` after `deadline`,
  /// `unavailable` when nobody answers.
  package init(
    _ address: Address, initiator: String, user: String?, secret: String?, deadline: Duration = .seconds(10)
  ) throws(StorageError) {
    let attempt = "Logging in to \(address.iqn) at \(address.portal) as \(initiator)"
    guard let context = iscsi_create_context(initiator) else {
      throw StorageError(.failed, "\(attempt) failed: libiscsi gave no context.")
    }
    iscsi_set_targetname(context, address.iqn)
    iscsi_set_session_type(context, ISCSI_SESSION_NORMAL)
    iscsi_set_header_digest(context, ISCSI_HEADER_DIGEST_NONE)
    iscsi_set_noautoreconnect(context, 1)
    // It counts in whole seconds, and would be first with a worse word: the login has its own deadline.
    iscsi_set_timeout(context, Int32(deadline.components.seconds + 2))
    if let user, let secret { iscsi_set_initiator_username_pwd(context, user, secret) }
    let outcome = UnsafeMutablePointer<LoginOutcome>.allocate(capacity: 1)
    outcome.initialize(to: LoginOutcome())
    do throws(StorageError) {
      try Self.logIn(context, outcome, address, deadline, attempt)
    } catch {
      iscsi_destroy_context(context)
      outcome.deinitialize(count: 1).deallocate()
      throw error
    }
    self.context = context
    self.outcome = outcome
    self.address = address
    commands = ISCSICommands(context, deadline: deadline)
  }

  deinit {
    if !isHijacked, iscsi_is_logged_in(context) != 0 { commands.logOut() }
    commands.destroyContext()
    outcome.deinitialize(count: 1).deallocate()
  }

  /// Logs out now.
  package consuming func letGo() {}

  /// The size of the disk.
  package func capacity() throws(StorageError) -> ByteCount {
    let lun = Int32(address.lun)
    let size = commands.read { context, _, ended, command in
      iscsi_readcapacity16_task(context, lun, ended, command)
    } _: { task in
      scsi_datain_unmarshall(task).map { raw in
        let answer = raw.assumingMemoryBound(to: scsi_readcapacity16.self).pointee
        return ByteCount(Int64(answer.returned_lba + 1) * Int64(answer.block_length))
      }
    }
    guard let size else { throw commandError("Reading the capacity of \(address.iqn) LUN \(address.lun)") }
    return size
  }

  /// The unit serial number (INQUIRY page 0x80), without padding.
  package func unitSerial() throws(StorageError) -> String {
    let bytes = try page(0x80)
    return String(decoding: bytes.dropFirst(4), as: UTF8.self).trimmed
  }

  /// The ASCII designators of page 0x83, without padding.
  package func designators() throws(StorageError) -> [String] {
    let bytes = try page(0x83)
    var found: [String] = []
    var offset = 4
    while offset + 4 <= bytes.count {
      let length = Int(bytes[offset + 3])
      let end = offset + 4 + length
      guard end <= bytes.count else { break }
      if bytes[offset] & 0xf == 2 { found.append(String(decoding: bytes[(offset + 4)..<end], as: UTF8.self).trimmed) }
      offset = end
    }
    return found
  }

  /// Whether the unit answers.
  package func isReady() -> Bool {
    let lun = Int32(address.lun)
    return commands.read { context, _, ended, command in
      iscsi_testunitready_task(context, lun, ended, command)
    } _: { _ in
      true
    } ?? false
  }

  /// Writes one block of 512 bytes; for tests of what an initiator may do.
  package func write(_ block: [UInt8], at index: UInt32) throws(StorageError) {
    let lun = Int32(address.lun)
    let isWritten = commands.read(sending: block) { context, data, ended, command in
      iscsi_write10_task(context, lun, index, data, UInt32(block.count), 512, 0, 0, 0, 0, 0, ended, command)
    } _: { _ in
      true
    }
    guard isWritten == true else { throw commandError("Writing to \(address.iqn) LUN \(address.lun)") }
  }

  /// Makes the target hold back every later command to the unit until this session goes.
  ///
  /// Sends a read that goes to the head of the unit's queue (SAM-5, 8.6) and leaves its data unread: while a target has
  /// not got rid of the answer, the command is not over, and what comes after it waits. When this returns the target has
  /// read the data; commands that began earlier may still be under way. Of no further use afterwards but to be let go.
  package mutating func occupyQueue(deadline: Duration) throws(StorageError) {
    let attempt = "Holding the queue of \(address.iqn) LUN \(address.lun)"
    isHijacked = true
    let socket = iscsi_get_fd(context)
    var least: Int32 = 4096
    setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &least, socklen_t(MemoryLayout<Int32>.size))
    let command = Self.readAtHeadOfQueue(unit: UInt8(address.lun), blocks: Self.heldBlocks)
    let sent = command.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    guard sent == command.count else { throw ISCSIError.command(attempt, message: "the session has ended") }
    var wait = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
    guard poll(&wait, 1, Int32(deadline / .milliseconds(1))) == 1 else {
      throw StorageError(.timeout, "\(attempt) failed: no answer within \(deadline).")
    }
    var opcode: UInt8 = 0
    guard recv(socket, &opcode, 1, Int32(MSG_PEEK)) == 1, opcode & 0x3f == 0x25 else {
      throw ISCSIError.command(attempt, message: "the target answered without data")
    }
  }

  /// The least size that `occupyQueue` can work with: what it reads must be more than the sockets' buffers take.
  package static var leastHeldSize: ByteCount { ByteCount(Int64(heldBlocks) * 512) }
  private static let heldBlocks: UInt16 = 32768

  /// A SCSI Command PDU (RFC 7143, 11.3) with READ(10), immediate, so that it needs no place in the session's numbering.
  private static func readAtHeadOfQueue(unit: UInt8, blocks: UInt16) -> [UInt8] {
    var header = [UInt8](repeating: 0, count: 48)
    header[0] = 0x41  // immediate, SCSI command
    header[1] = 0xc3  // final, read, head of queue
    header[9] = unit
    header.replaceSubrange(16..<20, with: [0x50, 0x75, 0x6d, 0x69])  // task tag: any
    let length = UInt32(blocks) * 512
    header.replaceSubrange(20..<24, with: (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) })
    header[32] = 0x28
    header[39] = UInt8(blocks >> 8)
    header[40] = UInt8(blocks & 0xff)
    return header
  }

  private func page(_ code: Int32) throws(StorageError) -> [UInt8] {
    let lun = Int32(address.lun)
    let page = commands.read { context, _, ended, command in
      iscsi_inquiry_task(context, lun, 1, code, 255, ended, command)
    } _: { task in
      task.pointee.datain.data.map { Array(UnsafeBufferPointer(start: $0, count: Int(task.pointee.datain.size))) }
    }
    guard let page, page.count >= 4 else {
      throw commandError("Reading the identity of \(address.iqn) LUN \(address.lun)")
    }
    return Array(page.prefix(4 + Int(page[2]) << 8 + Int(page[3])))
  }

  private func commandError(_ attempt: String) -> StorageError {
    ISCSIError.command(attempt, message: Self.message(context))
  }

  // MARK: Login, with a deadline over connection and login together, which the synchronous call lacks.

  private static func logIn(
    _ context: OpaquePointer, _ outcome: UnsafeMutablePointer<LoginOutcome>, _ address: Address, _ deadline: Duration,
    _ attempt: String
  ) throws(StorageError) {
    guard iscsi_full_connect_async(context, address.portal, Int32(address.lun), loginEnded, outcome) == 0 else {
      throw ISCSIError.login(attempt, message: message(context))
    }
    let start = ContinuousClock.now
    while outcome.pointee.status == nil {
      guard ContinuousClock.now - start < deadline else {
        throw StorageError(.timeout, "\(attempt) failed: no answer within \(deadline).")
      }
      var wait = pollfd(fd: iscsi_get_fd(context), events: Int16(iscsi_which_events(context)), revents: 0)
      let ready = poll(&wait, 1, 100)
      var events = ready > 0 ? Int32(wait.revents) : 0
      // A target that refuses also hangs up: first hear what it has to say.
      if events & POLLIN != 0 { events &= ~(POLLHUP | POLLERR) }
      guard iscsi_service(context, events) == 0 else { break }
    }
    guard outcome.pointee.status == Int32(SCSI_STATUS_GOOD.rawValue) else {
      throw ISCSIError.login(attempt, message: outcome.pointee.message ?? message(context))
    }
  }

  private static func message(_ context: OpaquePointer) -> String {
    guard let text = iscsi_get_error(context) else { return "" }
    return String(cString: text).trimmed
  }
}

/// How a login ended, with libiscsi's words at that moment: it finds other words when the connection ends after it.
private struct LoginOutcome {
  /// `nil` while it is under way.
  var status: Int32?
  var message: String?
}

private func loginEnded(
  context: OpaquePointer?, status: Int32, _: UnsafeMutableRawPointer?, outcome: UnsafeMutableRawPointer?
) {
  guard let outcome = outcome?.assumingMemoryBound(to: LoginOutcome.self), outcome.pointee.status == nil else { return }
  outcome.pointee.status = status
  if let context, let text = iscsi_get_error(context) { outcome.pointee.message = String(cString: text).trimmed }
}

extension String {
  fileprivate var trimmed: String {
    var view = self[...]
    while let last = view.last, last.isWhitespace || last == "\0" || last == "." { view = view.dropLast() }
    while let first = view.first, first.isWhitespace { view = view.dropFirst() }
    return String(view)
  }
}
