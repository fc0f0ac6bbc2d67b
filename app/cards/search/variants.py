"""Lists the characters and company forms that a search takes for the same.

They are folded for the search alone.  What is stored and shown stays as typed.
"""

from __future__ import annotations

# The first of each group stands for all of it.
_GROUPS = (
    "高髙 崎﨑碕嵜 辺邉邊 斎齋齊斉 吉𠮷 浜濵濱 島嶋嶌 沢澤 桜櫻 広廣 国國 真眞 恵惠 "
    "徳德 瀬瀨 栄榮 曽曾 富冨 弥彌 滝瀧 条條 実實 寿壽 蔵藏 万萬 館舘 柳栁桺 峰峯 竜龍 "
    "黒黑 青靑 清淸 横橫 増增 渕淵渊 槙槇 桧檜 篭籠 鴎鷗 円圓 学學 県縣 関關 鉄鐵 塩鹽 "
    "豊豐 遥遙 与與 児兒 仏佛 伝傳 内內 単單 厳嚴 団團 壮壯 将將 巌巖 応應 戸戶 晋晉 "
    "会會 歩步 毎每 渋澁 済濟 為爲 狭狹 宝寶寳 亀龜 静靜 聡聰 緑綠 縁緣 総總 荘莊 薫薰 "
    "穂穗 礼禮 稲稻 糸絲 浅淺 藪籔薮 船舩 桑桒 野埜 帯帶 宮宫 郎郞 都都 葉葊 芦蘆 "
    "渓溪 禎禎 隆隆 逸逸 岳嶽 尭堯 槌鎚 頼賴 来來 涼凉 穣穰 粛肅 継繼 神神 福福 祥祥"
)
_TILDES = "〜〰∼"
_HYPHENS = "-‐‑‒–—―⁃−﹘﹣－ｰ─━"
_SELECTORS = (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))

COMPANY_FORMS = {
    "(株)": "株式会社",
    "(有)": "有限会社",
    "(同)": "合同会社",
    "(資)": "合資会社",
    "(名)": "合名会社",
    "(医)": "医療法人",
    "(学)": "学校法人",
    "(財)": "財団法人",
    "(社)": "社団法人",
    "(宗)": "宗教法人",
    "(福)": "社会福祉法人",
}
"""From each short form, as NFKC makes it of ㈱ and its like, to the whole one."""

VARIANTS: dict[int, str | None] = {
    **{ord(other): group[0] for group in _GROUPS.split() for other in group[1:]},
    **dict.fromkeys(map(ord, _TILDES), "~"),
    **dict.fromkeys(map(ord, _HYPHENS), "ー"),
    **dict.fromkeys(_SELECTORS),
}
"""A translate table from each variant to the character that stands for it."""
