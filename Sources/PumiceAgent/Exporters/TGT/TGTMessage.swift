import PumiceModel

/// One request to tgtd and its answer, as they travel over its management socket.
///
/// The layout is that of `struct tgtadm_req` and `struct tgtadm_rsp` in tgt's `usr/tgtadm.h` (1.0.85, unchanged since 1.0.25):
/// numbers in the machine's byte order, then parameters as `key=value`, separated by commas and ended by NUL.
struct TGTRequest: Equatable {
  enum Mode: UInt32 { case system, target, logicalUnit, portal, driver, session, connection, account }
  enum Operation: UInt32 { case new, delete, show, bind, unbind, update, statistics }

  static let headerLength = 120
  /// What tgtd takes at most, by its own limit on parameters.
  static let maximumLength = headerLength + 8 * 1024

  var mode: Mode
  var operation: Operation
  /// `nil` for all targets.
  var target: Int32?
  var session: UInt64 = 0
  var connection: UInt32 = 0
  /// `nil` for none.
  var logicalUnit: UInt64?
  var force = false
  /// May hold a secret: never print it.
  var parameters = ""

  var encoded: [UInt8] {
    var bytes: [UInt8] = []
    let body = parameters.isEmpty ? [] : Array(parameters.utf8) + [0]
    bytes.reserveCapacity(Self.headerLength + body.count)
    bytes.append(mode.rawValue)
    bytes.append(operation.rawValue)
    bytes.append(text: "iscsi", length: 64)
    bytes.append(UInt32(Self.headerLength + body.count))
    bytes.append(target ?? -1)
    bytes.append(session)
    bytes.append(logicalUnit ?? .max)
    bytes.append(connection)
    bytes.append(UInt32(0))  // host number: for drivers with real adapters
    bytes.append(UInt32(0))  // device type: disk
    bytes.append(UInt32(0))  // account direction: incoming
    bytes.append(UInt32(0))  // pack
    bytes.append(UInt32(force ? 1 : 0))
    return bytes + body
  }
}

/// The fixed part of an answer; `length - 8` bytes of text follow.
struct TGTResponseHeader: Equatable {
  static let length = 8
  /// More text than any number of targets on one machine makes.
  static let maximumBodyLength = 64 << 20

  let code: UInt32
  let bodyLength: Int

  /// `nil` when the bytes can't be such an answer.
  init?(_ bytes: some RandomAccessCollection<UInt8>) {
    guard bytes.count == Self.length else { return nil }
    let words = bytes.withContiguousStorageIfAvailable { buffer in
      let raw = UnsafeRawBufferPointer(buffer)
      return (
        raw.loadUnaligned(fromByteOffset: 0, as: UInt32.self), raw.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
      )
    }
    guard let (code, length) = words, length >= Self.length, length - 8 <= Self.maximumBodyLength else { return nil }
    self.code = code
    bodyLength = Int(length) - Self.length
  }
}

extension [UInt8] {
  fileprivate mutating func append(_ number: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: number) { append(contentsOf: $0) }
  }

  fileprivate mutating func append(text: String, length: Int) {
    let bytes = text.utf8.prefix(length - 1)
    append(contentsOf: bytes)
    append(contentsOf: repeatElement(0, count: length - bytes.count))
  }
}
