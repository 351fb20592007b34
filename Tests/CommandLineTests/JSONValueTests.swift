import Testing

@testable import pumice

struct JSONValueTests {
  @Test func printsTheSameTextForTheSameValueWithKeysSorted() throws {
    let value = try #require(JSONValue(parsing: #"{"b":[1,2.5,true,null],"a":"x/y","c":{}}"#))
    #expect(
      value.pretty == """
        {
          "a" : "x/y",
          "b" : [
            1,
            2.5,
            true,
            null
          ],
          "c" : {

          }
        }
        """)
    #expect(JSONValue(parsing: value.pretty) == value)
  }

  @Test func keepsNumbersAsTheyAre() {
    #expect(
      JSONValue(parsing: "[9223372036854775807, 0, -1, 0.5]")
        == [9_223_372_036_854_775_807, 0, -1, .number(0.5)])
    #expect(JSONValue(parsing: "[true, false, 1, 0]") == [true, false, 1, 0])
  }

  @Test func whatIsNoJSONIsNothing() {
    #expect(JSONValue(parsing: "<html>") == nil)
    #expect(JSONValue(parsing: "") == nil)
  }

  @Test(arguments: [
    (0.0, "0"), (1, "1"), (1.5, "1.5"), (1.25, "1.25"), (1.05, "1.05"), (99.999, "100"), (-0.5, "-0.5"),
    (0.004, "0"), (1e300, "1e+300"), (-12.34, "-12.34"),
  ])
  func numbersHaveAtMostTwoDecimals(_ number: Double, _ text: String) {
    #expect(JSONValue.short(number) == text)
  }

  @Test func missingMembersAreEmpty() {
    let value: JSONValue = ["a": 1]
    #expect(value["b"]["c"].text == "")
    #expect(value["a"]["c"] == .null)
    #expect(value["a"].int == 1)
    #expect(value["a"].string == nil)
  }

  @Test func objectsShowAsPairs() {
    let value: JSONValue = ["b": 1, "a": ["x", true, 2]]
    #expect(value.text == "a=x, yes, 2, b=1")
  }
}
