"""How the known corpora are to be cited."""

from __future__ import annotations

CITATIONS: dict[str, str] = {
    "cluener": "Xu et al. 2020. CLUENER2020: Fine-grained Named Entity Recognition Dataset and Benchmark for "
    "Chinese. arXiv 2001.04351.",
    "boson": "Min et al. 2015. BosonNLP: An Ensemble Approach for Word Segmentation and POS Tagging. NLPCC.",
    "ontonotes": "Weischedel et al. 2013. OntoNotes Release 5.0. LDC2013T19.",
    "msra": "Levow 2006. The Third International Chinese Language Processing Bakeoff: Word Segmentation and "
    "Named Entity Recognition. SIGHAN.",
    "weibo": "Peng and Dredze 2015. Named Entity Recognition for Chinese Social Media with Jointly Trained "
    "Embeddings. EMNLP.",
    "resume": "Zhang and Yang 2018. Chinese NER Using Lattice LSTM. ACL.",
    "fewfc": "Zhou et al. 2021. What the Role is vs. What Plays the Role: Semi-Supervised Event Argument "
    "Extraction via Dual Question Answering. AAAI.",
    "conll2003": "Tjong Kim Sang and De Meulder 2003. Introduction to the CoNLL-2003 Shared Task: "
    "Language-Independent Named Entity Recognition. CoNLL.",
    "wnut17": "Derczynski et al. 2017. Results of the WNUT2017 Shared Task on Novel and Emerging Entity "
    "Recognition. W-NUT.",
    "btc": "Derczynski, Bontcheva and Roberts 2016. Broad Twitter Corpus: A Diverse Named Entity Recognition "
    "Resource. COLING.",
    "wikigold": "Balasuriya et al. 2009. Named Entity Recognition in Wikipedia. People's Web Meets NLP.",
    "crossner": "Liu et al. 2021. CrossNER: Evaluating Cross-Domain Named Entity Recognition. AAAI.",
    "few_nerd": "Ding et al. 2021. Few-NERD: A Few-shot Named Entity Recognition Dataset. ACL.",
    "multinerd": "Tedeschi and Navigli 2022. MultiNERD: A Multilingual, Multi-Genre and Fine-Grained Dataset for "
    "Named Entity Recognition (and Disambiguation). Findings of NAACL.",
    "germeval14": "Benikova, Biemann and Reznicek 2014. NoSta-D Named Entity Annotation for German: Guidelines "
    "and Dataset. LREC.",
    "danplus": "Plank, Jensen and van der Goot 2020. DaN+: Danish Nested Named Entities and Lexical "
    "Normalization. COLING.",
    "uner": "Mayhew et al. 2024. Universal NER: A Gold-Standard Multilingual Named Entity Recognition "
    "Benchmark. NAACL.",
    "ncbi_disease": "Doğan, Leaman and Lu 2014. NCBI Disease Corpus: A Resource for Disease Name Recognition "
    "and Concept Normalization. Journal of Biomedical Informatics 47.",
    "bc5cdr": "Li et al. 2016. BioCreative V CDR Task Corpus: A Resource for Chemical Disease Relation "
    "Extraction. Database.",
    "klue": "Park et al. 2021. KLUE: Korean Language Understanding Evaluation. NeurIPS Datasets and Benchmarks.",
    "masakhaner": "Adelani et al. 2022. MasakhaNER 2.0: Africa-centric Transfer Learning for Named Entity "
    "Recognition. EMNLP.",
    "wikiann": "Pan et al. 2017. Cross-lingual Name Tagging and Linking for 282 Languages. ACL.",
}


def citation_of(name: str) -> str:
    """Return the citation of a known corpus or of the collection it belongs to, ``""`` if none is known."""
    return CITATIONS.get(name) or CITATIONS.get(name.partition("_")[0], "")
