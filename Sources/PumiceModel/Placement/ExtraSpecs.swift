/// The extra specs of a volume type, read once per request: what a pool's capabilities must be.
///
/// The language is Cinder's. A value is a text the capability must equal, or begins with an operator:
///
///     =  >=  <=  ==  !=         numbers; `=` is the same as `>=`
///     s==  s!=  s<  s<=  s>  s>=   texts
///     <in> part                 the capability contains the part
///     <is> true                 both mean yes, or both mean no
///     <or> a <or> b             any of these
///
/// A key is a capability's name, with or without the scope `capabilities:`; keys of other scopes (`volume:…`, `qos:…`)
/// are not about pools. A capability with several values fits when any of them does; one that the pool lacks never fits.
struct ExtraSpecs: Sendable {
  struct Demand: Sendable {
    let capability: String
    let comparison: Comparison
    /// The value as the operator wrote it.
    let text: String
  }

  enum Comparison: Sendable, Equatable {
    case equals(String)
    case number(NumberOperator, Double)
    case text(TextOperator, String)
    case contains(String)
    case means(Bool)
    case oneOf([String])
    /// An operator without a fitting operand: nothing satisfies it.
    case never
  }

  enum NumberOperator: String, Sendable {
    case atLeastByAssignment = "="
    case equal = "=="
    case notEqual = "!="
    case atLeast = ">="
    case atMost = "<="
  }

  enum TextOperator: String, Sendable {
    case equal = "s=="
    case notEqual = "s!="
    case less = "s<"
    case atMost = "s<="
    case greater = "s>"
    case atLeast = "s>="
  }

  /// In the order of their names, so that the same request always gets the same reason.
  let demands: [Demand]

  init(_ specs: [String: String]) {
    demands = specs.sorted { $0.key < $1.key }.compactMap { key, value in
      Self.capability(of: key).map { Demand(capability: $0, comparison: Comparison(value), text: value) }
    }
  }

  /// The capability a key is about; `nil` for keys of another scope.
  private static func capability(of key: String) -> String? {
    guard let colon = key.firstIndex(of: ":") else { return key }
    return key[..<colon] == "capabilities" ? String(key[key.index(after: colon)...]) : nil
  }

  func areMet(by pool: PoolState) -> Bool {
    for demand in demands where !demand.isMet(by: pool) { return false }
    return true
  }

  /// The first demand that the pool does not meet.
  func firstUnmet(by pool: PoolState) -> Demand? {
    demands.first { !$0.isMet(by: pool) }
  }
}

extension ExtraSpecs.Demand {
  func isMet(by pool: PoolState) -> Bool {
    if let values = pool.report.capabilities[capability] {
      for value in values where comparison.matches(value) { return true }
      return false
    }
    return pool.figure(named: capability).map { comparison.matches($0) } ?? false
  }

  /// What the pool says about it, for the reason of a refusal.
  func reason(on pool: PoolState) -> String {
    let values = pool.report.capabilities[capability] ?? pool.figure(named: capability).map { ["\($0)"] }
    guard let values, !values.isEmpty else { return "has no \(capability), which must be \"\(text)\"" }
    return "has \(capability) \"\(values.joined(separator: "\", \""))\", which must be \"\(text)\""
  }
}

extension ExtraSpecs.Comparison {
  init(_ requirement: String) {
    let words = requirement.split(whereSeparator: \.isWhitespace).map(String.init)
    guard let first = words.first else {
      self = .equals(requirement)
      return
    }
    let operand = words.dropFirst().first
    if let comparison = ExtraSpecs.NumberOperator(rawValue: first) {
      self = operand.flatMap(Double.init).map { .number(comparison, $0) } ?? .never
    } else if let comparison = ExtraSpecs.TextOperator(rawValue: first) {
      self = operand.map { .text(comparison, $0) } ?? .never
    } else if first == "<in>" {
      self = operand.map { .contains($0) } ?? .never
    } else if first == "<is>" {
      self = operand.map { .means(Self.means($0)) } ?? .never
    } else if first == "<or>" {
      self = .oneOf(stride(from: 1, to: words.count, by: 2).map { words[$0] })
    } else {
      self = .equals(requirement)
    }
  }

  func matches(_ value: String) -> Bool {
    switch self {
    case .equals(let wanted): value == wanted || Self.isSameBoolean(value, wanted)
    case .number(let comparison, let wanted): Double(value).map { comparison.holds($0, wanted) } ?? false
    case .text(let comparison, let wanted): comparison.holds(value, wanted)
    case .contains(let part): value.contains(part)
    case .means(let wanted): Self.means(value) == wanted
    case .oneOf(let wanted): wanted.contains(value)
    case .never: false
    }
  }

  /// Whether a text says yes, as OpenStack reads it.
  private static func means(_ text: String) -> Bool {
    switch text {
    case "True", "true", "1", "yes", "on": true
    case "False", "false", "0", "no", "off": false
    default: ["1", "t", "true", "on", "y", "yes"].contains(text.lowercased())
    }
  }

  /// Whether both say `true`, or both `false`, in any case: Python's services write `True`.
  private static func isSameBoolean(_ left: String, _ right: String) -> Bool {
    guard left.utf8.count == right.utf8.count, left.utf8.count == 4 || left.utf8.count == 5 else { return false }
    let lowered = left.lowercased()
    return (lowered == "true" || lowered == "false") && lowered == right.lowercased()
  }
}

extension ExtraSpecs.NumberOperator {
  func holds(_ left: Double, _ right: Double) -> Bool {
    switch self {
    case .atLeastByAssignment, .atLeast: left >= right
    case .equal: left == right
    case .notEqual: left != right
    case .atMost: left <= right
    }
  }
}

extension ExtraSpecs.TextOperator {
  func holds(_ left: String, _ right: String) -> Bool {
    switch self {
    case .equal: left == right
    case .notEqual: left != right
    case .less: left < right
    case .atMost: left <= right
    case .greater: left > right
    case .atLeast: left >= right
    }
  }
}

/// One of the facts that Cinder's pools have beside their capabilities.
private enum PoolFigure: CustomStringConvertible {
  case number(Double)
  case text(String)

  var description: String {
    switch self {
    case .number(let number): number == number.rounded() ? String(Int64(number)) : String(number)
    case .text(let text): text
    }
  }
}

extension ExtraSpecs.Comparison {
  fileprivate func matches(_ figure: PoolFigure) -> Bool {
    if case .number(let comparison, let wanted) = self, case .number(let number) = figure {
      return comparison.holds(number, wanted)
    }
    return matches(figure.description)
  }
}

extension PoolState {
  /// What the pool lacks of these extra specs: the first demand that it does not meet; `nil` when it meets all.
  public func lack(of extraSpecs: [String: String]) -> String? {
    ExtraSpecs(extraSpecs).firstUnmet(by: self)?.reason(on: self)
  }

  /// The facts that extra specs may name although no agent reports them as capabilities.
  fileprivate func figure(named name: String) -> PoolFigure? {
    switch name {
    case "thin_provisioning_support": .text(report.isThin ? "True" : "False")
    case "thick_provisioning_support": .text(report.isThin ? "False" : "True")
    case "total_capacity_gb": .number(report.total.gibibytes)
    case "free_capacity_gb": .number(report.free.gibibytes)
    case "allocated_capacity_gb": .number(promised.gibibytes)
    case "reserved_percentage": .number(Double(report.reservedPercentage))
    case "max_over_subscription_ratio":
      report.maxOverSubscriptionRatio.isFinite ? .number(report.maxOverSubscriptionRatio) : nil
    case "pool_name": .text(report.pool)
    default: nil
    }
  }
}
