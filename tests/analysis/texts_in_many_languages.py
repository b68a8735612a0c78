"""Texts that are hard on tokenisers, and lines of the installed manual pages."""

import hashlib
import json

import corpora

_SENTENCES = [
    "The second layer reads what the first one wrote, and nobody asked whether it should.",
    "Strømmen gennem hver celle måles én gang; så lægges de sammen.", "Åtta rader är för få när brusets bredd växer.",
    "Vi ønsker oss færre feil, men får bare flere målinger.", "Het geheugen vergeet langzaam, maar zeker wat het ooit wist.",
    "Größere Spannungen schreiben schneller – und übler.", "¿Cuántas veces se puede leer la misma celda? ¡Muchísimas!",
    "A condução não é linear; ninguém prometeu que fosse.", "Perché la corrente è più alta all'inizio che alla fine?",
    "L'été, le bruit s'élève déjà à 5 % de l'énergie : c'est trop.", "Źródło błędów leży w żółtej części wykresu.",
    "Měření příliš žluťoučkého koně úpělo ďábelské ódy.", "Sähkö kulkee siitä, missä vastus on pienin.",
    "Az áramkör újraírása időigényes művelet.", "Bu gürültü İstanbul'da ölçüldü, ılık bir günde.", "Dòng điện chạy qua mỗi ô nhớ.",
    "Матрица записана один раз, а читается тысячу раз; ещё бы!", "Ток їде крізь комірку, ґрунт холодний.",
    "Το ρεύμα περνά από κάθε κελί, ΠΆΝΤΑ με θόρυβο.", "電流は全てのセルを通る。カタカナとひらがなも。", "每個單元都有噪聲,讀一次變一次。",
    "전류는 모든 셀을 지난다.", "التيار يمر عبر كل خلية", "הזרם עובר בכל תא", "धारा हर कोशिका से गुजरती है", "กระแสไหลผ่านทุกเซลล์",
]
_HARD = [
    "", "  \t\n ", "Hello, World!", "naïve café Ünïcödé ÅÄÖ ǅ ß ẞ ﬁ", "$1+2^3=~`|<>@#&", "ab\0c\ufffdd\u200be\u00adf\u2028g\u2029h\x0bi\x85j",
    "x" * 100, "x" * 101, "é" * 100, "e\u0301" * 100, "don't we'll I'd they've it's I'm you're", "« Oui » „Ja“ “a” ‘b’ — – … ‽",
    "[CLS] a [SEP] b [UNK] [MASK] ##ing", "a\u00a0b\u3000c\u2003d\u202fe", "Straße STRASSE Σίσυφος", "👍🏽 👨‍👩‍👧 🇩🇰",
    "١٢٣ ४५६ ⅷ ² ½", "a\u0300\u0301b \u0345", "\ue000x\U000f0000y", "\u0378unassigned", "𠀀𪜀豈丽", "x86_64 O_RDONLY /usr/bin/a.b-c",
    "   leading and  multiple   spaces \n\n new\ttab ", "a'sb 'S 'T isn'T", " '", "100km 3.14e-10", "ª º ¹ ⓐ K Å", "e\u0327\u0301 q\u0323",
    "\x1c\x1d\x1e\x1fa\x1cb", "a\u180eb\u2060c\ufeffd", "a \nb  \n  c",
]
TEXTS = _SENTENCES + _HARD
PAIRS = [[_SENTENCES[i], _SENTENCES[i + 1]] for i in range(0, len(_SENTENCES), 2)] + [["a", ""], ["", "b"]]


def manual_page_lines() -> list[str]:
    """A few thousand lines in ten languages, roff and all."""
    return [line.strip() for language in corpora.LANGUAGES for page in corpora.pages_of(language)[::7][:40]
            for line in corpora.read_page(page).split("\n")[::6] if line.strip()]


def digest(values: list) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()
