import PumiceModel

/// One target as `show` describes it.
struct TGTTarget: Equatable {
  struct LogicalUnit: Equatable {
    let number: UInt64
    var type = ""
    var scsiID = ""
    var serial = ""
    var isOnline = false
    var isReadOnly = false
    var isThin = false
    var storeType = ""
    /// `nil` for none.
    var path: String?
  }

  struct Nexus: Equatable {
    let session: UInt64
    var initiator = ""
    var connections: [UInt32] = []
  }

  let id: Int32
  let name: String
  var nexuses: [Nexus] = []
  var units: [LogicalUnit] = []
  /// In the order of tgtd's slots, which matters when one is taken out: see `TGTAccounts`.
  var accounts: [String] = []
  /// Initiator names and addresses.
  var admissions: [String] = []

  func unit(_ number: UInt64) -> LogicalUnit? { units.first { $0.number == number } }
}

/// The answer to `show` for all targets: text for people, read strictly by its indentation and headings.
enum TGTTargetList {
  private enum Section { case system, nexus, units, accounts, admissions }

  static func parse(_ text: String) -> [TGTTarget] {
    var targets: [TGTTarget] = []
    var section = Section.system
    for line in text.split(separator: "\n") {
      let indentation = line.prefix { $0 == " " }.count
      let content = line.dropFirst(indentation)
      if indentation == 0 {
        if let target = heading(content) { targets.append(target) }
        section = .system
      } else if indentation == 4 {
        section = Self.section(content) ?? section
      } else if !targets.isEmpty {
        read(content, in: section, into: &targets[targets.count - 1])
      }
    }
    return targets
  }

  /// `Target 1: iqn…`
  private static func heading(_ line: Substring) -> TGTTarget? {
    guard line.hasPrefix("Target "), let colon = line.firstIndex(of: ":"),
      let id = Int32(line[..<colon].dropFirst("Target ".count))
    else { return nil }
    return TGTTarget(id: id, name: String(line[colon...].dropFirst(2)))
  }

  private static func section(_ heading: Substring) -> Section? {
    switch heading {
    case "System information:": .system
    case "I_T nexus information:": .nexus
    case "LUN information:": .units
    case "Account information:": .accounts
    case "ACL information:": .admissions
    default: nil
    }
  }

  private static func read(_ line: Substring, in section: Section, into target: inout TGTTarget) {
    switch section {
    case .system: break
    case .accounts: if !line.hasSuffix(" (outgoing)") { target.accounts.append(String(line)) }
    case .admissions: target.admissions.append(String(line))
    case .nexus: readNexus(line, into: &target)
    case .units: readUnit(line, into: &target)
    }
  }

  private static func readNexus(_ line: Substring, into target: inout TGTTarget) {
    if let session = line.value(after: "I_T nexus: ").flatMap({ UInt64($0) }) {
      target.nexuses.append(TGTTarget.Nexus(session: session))
    } else if let last = target.nexuses.indices.last {
      if let initiator = line.value(after: "Initiator: ") {
        // The alias, if the initiator gave one, follows on the same line.
        target.nexuses[last].initiator = String(initiator.prefix { $0 != " " })
      } else if let connection = line.value(after: "Connection: ").flatMap({ UInt32($0) }) {
        target.nexuses[last].connections.append(connection)
      }
    }
  }

  private static func readUnit(_ line: Substring, into target: inout TGTTarget) {
    if let number = line.value(after: "LUN: ").flatMap({ UInt64($0) }) {
      target.units.append(TGTTarget.LogicalUnit(number: number))
      return
    }
    guard let last = target.units.indices.last, let colon = line.firstIndex(of: ":") else { return }
    let value = String(line[colon...].dropFirst(2))
    switch line[..<colon] {
    case "Type": target.units[last].type = value
    case "SCSI ID": target.units[last].scsiID = value
    case "SCSI SN": target.units[last].serial = value
    case "Online": target.units[last].isOnline = value == "Yes"
    case "Readonly": target.units[last].isReadOnly = value == "Yes"
    case "Thin-provisioning": target.units[last].isThin = value == "Yes"
    case "Backing store type": target.units[last].storeType = value
    case "Backing store path": target.units[last].path = value == "None" ? nil : value
    default: break
    }
  }

  /// Whether the answer to `stats` for a logical unit shows no read or write that has begun and not ended.
  ///
  /// After a line of headings, a line per session: target, unit, session, then bytes and commands of reads begun, reads
  /// ended, writes begun, writes ended, and errors.
  static func isIdle(_ statistics: String) -> Bool {
    statistics.split(separator: "\n").dropFirst().allSatisfy { line in
      let numbers = line.split(separator: " ").compactMap { UInt64($0) }
      return numbers.count == 12 && numbers[4] == numbers[6] && numbers[8] == numbers[10]
    }
  }

  /// The names in the answer to `show` for accounts.
  static func parseAccounts(_ text: String) -> [String] {
    text.split(separator: "\n").filter { $0.hasPrefix("    ") }.map { String($0.dropFirst(4)) }
  }
}

extension Substring {
  fileprivate func value(after key: String) -> Substring? { hasPrefix(key) ? dropFirst(key.count) : nil }
}
