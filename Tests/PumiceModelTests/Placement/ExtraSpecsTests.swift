import Testing

@testable import PumiceModel

struct ExtraSpecsTests {
  /// Value of the capability, what is required of it, and whether it fits.
  @Test(arguments: [
    // Plain texts, and booleans as Python writes them.
    ("iSCSI", "iSCSI", true), ("iSCSI", "iscsi", false), ("lvm ssd", "lvm ssd", true), ("true", "True", true),
    ("FALSE", "false", true), ("true", "false", false), ("1", "true", false),
    // Numbers; = is >=.
    ("10", "= 10", true), ("11", "= 10", true), ("9", "= 10", false), ("10", "== 10.0", true), ("11", "== 10", false),
    ("11", "!= 10", true), ("10", "!= 10", false), ("10", ">= 10", true), ("9.5", ">= 10", false),
    ("10", "<= 10", true), ("10.5", "<= 10", false), ("fast", ">= 10", false), ("10", ">= fast", false),
    // Texts.
    ("abc", "s== abc", true), ("abc", "s== abd", false), ("abc", "s!= abd", true), ("abc", "s!= abc", false),
    ("abc", "s< abd", true), ("abc", "s< abc", false), ("abc", "s<= abc", true), ("abd", "s> abc", true),
    ("abc", "s> abc", false), ("abc", "s>= abc", true), ("abb", "s>= abc", false), ("9", "s< 10", false),
    // Parts, meanings, choices.
    ("x86_64-sse", "<in> sse", true), ("x86_64", "<in> sse", false), ("True", "<is> true", true),
    ("yes", "<is> 1", true), ("no", "<is> True", false), ("no", "<is> off", true), ("b", "<or> a <or> b", true),
    ("c", "<or> a <or> b", false), ("<or>", "<or> a <or> b", false), ("b", "  <or>   a   <or>  b ", true),
    // Operators without operand fit nothing; a word that only looks like one is a text.
    ("", "=", false), ("x", "<in>", false), ("x", "<or>", false), ("true", "<is>", false), ("=5", "=5", true),
    ("", "", true), ("x", "", false),
  ])
  func readsCindersOperators(_ value: String, _ requirement: String, _ fits: Bool) {
    #expect(
      ExtraSpecs(["k": requirement]).areMet(by: .make(capabilities: ["k": [value]])) == fits,
      "\(value) against \(requirement)")
  }

  @Test func aCapabilityWithSeveralValuesFitsWhenOneDoes() {
    let pool = PoolState.make(capabilities: ["protocol": ["NFS", "iSCSI"], "none": []])
    #expect(ExtraSpecs(["protocol": "iSCSI"]).areMet(by: pool))
    #expect(ExtraSpecs(["protocol": "<or> FC <or> NFS"]).areMet(by: pool))
    #expect(!ExtraSpecs(["protocol": "FC"]).areMet(by: pool))
    #expect(!ExtraSpecs(["none": "s!= x"]).areMet(by: pool))
  }

  @Test func onlyTheScopeOfCapabilitiesIsAboutPools() {
    let pool = PoolState.make(capabilities: ["ssd": ["true"], "a:b": ["x"]])
    #expect(ExtraSpecs(["capabilities:ssd": "<is> true"]).areMet(by: pool))
    #expect(!ExtraSpecs(["capabilities:ssd": "<is> false"]).areMet(by: pool))
    #expect(ExtraSpecs(["qos:maxIOPS": "5000", "volume:x": "y"]).areMet(by: pool))
    #expect(ExtraSpecs(["capabilities:a:b": "x"]).areMet(by: pool))
  }

  @Test func whatThePoolDoesNotHaveNeverFits() {
    for requirement in ["x", "s!= x", "!= 1", "<is> false"] {
      #expect(!ExtraSpecs(["unknown": requirement]).areMet(by: .make()))
    }
  }

  @Test func figuresOfThePoolCanBeAskedForByCindersNames() {
    let pool = PoolState.make(total: 100, free: 40, thin: true, reserved: 5, ratio: 2.5)
    let specs = [
      "thin_provisioning_support": "<is> True", "thick_provisioning_support": "<is> False", "free_capacity_gb": ">= 40",
      "total_capacity_gb": "== 100", "reserved_percentage": "<= 5", "max_over_subscription_ratio": "== 2.5",
      "pool_name": "vg",
    ]
    for (key, value) in specs { #expect(ExtraSpecs([key: value]).areMet(by: pool), "\(key) \(value)") }
    #expect(ExtraSpecs(["free_capacity_gb": ">= 41"]).firstUnmet(by: pool)?.reason(on: pool).contains("\"40\"") == true)
  }

  @Test func aReportedCapabilityGoesBeforeTheFigure() {
    let pool = PoolState.make(thin: true, capabilities: ["thin_provisioning_support": ["False"]])
    #expect(!ExtraSpecs(["thin_provisioning_support": "<is> True"]).areMet(by: pool))
  }

  @Test func allSpecsMustFitAndTheFirstByNameIsNamed() {
    let pool = PoolState.make(capabilities: ["a": ["1"], "b": ["1"], "c": ["1"]])
    let specs = ExtraSpecs(["c": "2", "b": "2", "a": "1"])
    #expect(specs.firstUnmet(by: pool)?.capability == "b")
    #expect(ExtraSpecs(["a": "1", "b": "1"]).areMet(by: pool))
    #expect(ExtraSpecs([:]).areMet(by: pool))
  }
}
